//! Where each field of a YAML document stands: its path, as Kubernetes writes it, to its line.

use std::collections::HashMap;

use granit_parser::{Event, Parser};

/// The lines of the fields of one document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    lines: HashMap<String, usize>,
}

/// A collection that is being read.
enum Open {
    /// In a mapping: the path of the mapping, and of the key just read, if any.
    Mapping { path: String, key: Option<String> },
    /// In a sequence: the path of the sequence, and the index of the next item.
    Sequence { path: String, next: usize },
}

impl Positions {
    /// The positions of each document of `text`, as far as it can be parsed.
    pub(crate) fn of_documents(text: &str) -> Vec<Self> {
        let mut documents = Vec::new();
        let mut reader = Reader::default();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            if matches!(event, Event::DocumentEnd) {
                documents.push(std::mem::take(&mut reader).positions);
            } else {
                reader.read(&event, span.start.line());
            }
        }
        documents
    }

    /// The line of the field at `path`, or of the nearest enclosing field that was written.
    pub(crate) fn line(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(*line);
            }
            let cut = path.rfind(['.', '['])?;
            path = &path[..cut];
        }
    }

    /// The positions of the fields below `prefix`, with paths counted from there.
    pub(crate) fn below(&self, prefix: &str) -> Self {
        let lines = self
            .lines
            .iter()
            .filter_map(|(path, line)| {
                let rest = path.strip_prefix(prefix)?.strip_prefix('.')?;
                Some((rest.to_owned(), *line))
            })
            .collect();
        Self { lines }
    }
}

#[derive(Default)]
struct Reader {
    positions: Positions,
    open: Vec<Open>,
}

impl Reader {
    fn read(&mut self, event: &Event<'_>, line: usize) {
        match event {
            Event::MappingStart(..) => {
                let path = self.place(line);
                self.open.push(Open::Mapping { path, key: None });
            }
            Event::SequenceStart(..) => {
                let path = self.place(line);
                self.open.push(Open::Sequence { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            Event::Scalar(text, ..) => self.scalar(text, line),
            Event::Alias(_) => {
                self.place(line);
            }
            _ => {}
        }
    }

    fn scalar(&mut self, text: &str, line: usize) {
        if let Some(Open::Mapping { path, key }) = self.open.last_mut()
            && key.is_none()
        {
            let full = if path.is_empty() {
                text.to_owned()
            } else {
                format!("{path}.{text}")
            };
            self.positions.lines.insert(full.clone(), line);
            *key = Some(full);
            return;
        }
        self.place(line);
    }

    /// The path of the value that starts here. An item's line is its own, a field's its key's.
    fn place(&mut self, line: usize) -> String {
        match self.open.last_mut() {
            None => String::new(),
            Some(Open::Mapping { key, path }) => key.take().unwrap_or_else(|| path.clone()),
            Some(Open::Sequence { path, next }) => {
                let full = format!("{path}[{next}]");
                *next += 1;
                self.positions.lines.insert(full.clone(), line);
                full
            }
        }
    }
}
