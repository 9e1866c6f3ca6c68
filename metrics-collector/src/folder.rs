//! Follows the event files of a folder and of the folders in it, which come and grow while the
//! trial runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use diwan_api::{MetricLog, metrics_collector::CollectorPlan};
use tokio::sync::watch;

use crate::{
    absence::{Absence, Found, counted, nearest},
    collect::{CollectError, Outcome, ROWS_PER_BATCH},
    parse::EventParser,
    report::{Reporter, Stretch},
    sink::Sink,
    tail::{Chunk, Tail},
    watch::Watcher,
};

/// How long a change stays unseen.
const LOOK: Duration = Duration::from_millis(500);
/// How deep folders are searched.
const DEPTH: usize = 16;
/// Part of the name of each event file.
const MARK: &str = "tfevents";

/// Where a trial's event files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// Names the source within its trial, for good: such as pod and container.
    pub key: String,
    /// The folder, which need not exist yet, or one file.
    pub folder: PathBuf,
    /// It may have been collected in part by an earlier process, so the sink is asked how far.
    pub resumed: bool,
}

/// Reads the event files of a folder until `ended` says (with true, or by losing its sender) that
/// nobody writes them any more and their ends are reached. Each file is a source of its own to the
/// sink: `KEY/PATH`. If the objective metric never appears, one row says so at the end.
///
/// A torn record at the end of a file waits for its rest; a damaged one is left out, and the first
/// of each file is logged.
pub async fn collect_events(
    plan: &CollectorPlan,
    source: &EventSource,
    mut ended: watch::Receiver<bool>,
    sink: &dyn Sink,
) -> Result<Outcome, CollectError> {
    let mut reporter = Reporter::new(plan, sink);
    let mut files: BTreeMap<PathBuf, Followed> = BTreeMap::new();
    // Nothing is watched: folders come and go.
    let watcher = Watcher::none();
    loop {
        // Asked before looking: what was written before the end is seen by the look.
        let over = *ended.borrow() || ended.has_changed().is_err();
        for path in event_files(source).await? {
            if !files.contains_key(&path) {
                let file = Followed::begin(plan, source, &path, &watcher, &mut reporter).await?;
                files.insert(path.clone(), file);
            }
        }
        for (path, file) in &mut files {
            file.read(path, &mut reporter).await?;
        }
        if over {
            let absence = absence(plan, source, &files);
            return reporter.end(&source.key, 0, Some(absence)).await;
        }
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn event_files(source: &EventSource) -> Result<Vec<PathBuf>, CollectError> {
    let root = source.folder.clone();
    let search = tokio::task::spawn_blocking(move || {
        if fs::metadata(&root).is_ok_and(|found| found.is_file()) {
            return Ok(vec![root]);
        }
        let mut found = Vec::new();
        search(&root, DEPTH, &mut found)?;
        found.sort();
        Ok(found)
    });
    let found = search.await.map_err(io::Error::other).flatten();
    found.map_err(|error| CollectError::Read {
        path: source.folder.clone(),
        error,
    })
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Gone, or not there yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if depth > 0 {
                search(&entry.path(), depth - 1, found)?;
            }
        } else if entry.file_name().to_string_lossy().contains(MARK)
            && fs::metadata(entry.path()).is_ok_and(|target| target.is_file())
        {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// One event file.
struct Followed {
    key: String,
    plan: CollectorPlan,
    folder: String,
    tail: Tail,
    parser: EventParser,
    reported: u64,
    rewound: bool,
    pending: Vec<MetricLog>,
    damage_told: bool,
}

impl Followed {
    async fn begin(
        plan: &CollectorPlan,
        source: &EventSource,
        path: &Path,
        watcher: &Watcher,
        reporter: &mut Reporter<'_>,
    ) -> Result<Self, CollectError> {
        let relative = path.strip_prefix(&source.folder).unwrap_or(path);
        let key = format!("{}/{}", source.key, relative.display());
        let position = if source.resumed {
            reporter.resume(&key).await?.position
        } else {
            0
        };
        let folder = path.parent().unwrap_or(path).display().to_string();
        Ok(Self {
            key,
            plan: plan.clone(),
            tail: Tail::new(watcher.clone(), path, position),
            parser: EventParser::new(plan, &folder, position),
            folder,
            reported: position,
            rewound: false,
            pending: Vec::new(),
            damage_told: false,
        })
    }

    /// Reads what there is, and reports it.
    async fn read(&mut self, path: &Path, reporter: &mut Reporter<'_>) -> Result<(), CollectError> {
        loop {
            let chunk = self.tail.read().await;
            match chunk.map_err(|error| CollectError::Read {
                path: path.to_owned(),
                error,
            })? {
                Chunk::Bytes(bytes) => self.pending.extend(self.parser.push(&bytes)),
                Chunk::Rewound => {
                    self.flush(reporter).await?;
                    self.parser = EventParser::new(&self.plan, &self.folder, 0);
                    (self.reported, self.rewound) = (0, true);
                }
                Chunk::Nothing => return self.flush(reporter).await,
            }
            if let (Some(damage), false) = (self.parser.damage(), self.damage_told) {
                self.damage_told = true;
                tracing::warn!(
                    trial.name = self.plan.trial,
                    "event file {}: {damage}",
                    path.display()
                );
            }
            if self.pending.len() >= ROWS_PER_BATCH {
                self.flush(reporter).await?;
            }
        }
    }

    async fn flush(&mut self, reporter: &mut Reporter<'_>) -> Result<(), CollectError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let stretch = Stretch {
            source: &self.key,
            from: self.reported,
            to: self.parser.settled(),
            rewound: self.rewound,
        };
        let rows = std::mem::take(&mut self.pending);
        reporter.report(stretch, rows).await?;
        (self.reported, self.rewound) = (stretch.to, false);
        Ok(())
    }
}

fn absence(
    plan: &CollectorPlan,
    source: &EventSource,
    files: &BTreeMap<PathBuf, Followed>,
) -> Absence {
    let given = plan.spec.path().map_or("", |path| path.path.as_str());
    let folder = if given.is_empty() {
        source.folder.display().to_string()
    } else {
        given.to_owned()
    };
    let tags: BTreeSet<String> = files.values().flat_map(|file| file.parser.tags()).collect();
    let last = plan.objective.rsplit('/').next().unwrap_or_default();
    let found = if files.is_empty() {
        Found::NoSource(Some(
            "no file there has \"tfevents\" in its name".to_owned(),
        ))
    } else {
        Found::Other {
            amount: counted(files.len() as u64, "event file"),
            names: nearest(&plan.objective, tags),
            hint: format!(
                "write it as a scalar with tag {last:?}, or name the metric FOLDER/TAG after the files"
            ),
        }
    };
    Absence {
        metric: plan.objective.clone(),
        place: format!("folder {folder}"),
        found,
    }
}
