//! The default filter: `name = value` and `name: value`.
//!
//! It gives the rows that Katib's expression `([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)`
//! gives, but no row without a value, whole numbers where that cuts them (`1,234`), and names as
//! they are meant: with slashes and dots, quoted, and behind the bar of a table.

use memchr::memchr2_iter;

use super::number;

/// The names that are looked for.
#[derive(Debug)]
pub(super) struct Names {
    /// The longest first.
    list: Vec<String>,
    /// What can stand before the sign: the ends of names, space and quotes.
    ends: [bool; 256],
}

impl Names {
    pub(super) fn new(mut list: Vec<String>) -> Self {
        list.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let mut ends = [false; 256];
        let last = list.iter().filter_map(|name| name.bytes().last());
        // Bytes that are not ASCII may be space, too.
        let more = (0x80..=0xff).chain(*b" \t\n\r\x0b\x0c\"'");
        last.chain(more)
            .for_each(|end| ends[usize::from(end)] = true);
        Self { list, ends }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.list.iter().any(|known| known == name)
    }

    /// Calls `found` with each wanted name and its value, in the order of the text. Of several
    /// names that fit, the longest counts.
    pub(super) fn each(&self, text: &str, found: &mut dyn FnMut(&str, String)) {
        let mut done = 0;
        for at in memchr2_iter(b'=', b':', text.as_bytes()) {
            if at <= done || !self.ends[usize::from(text.as_bytes()[at - 1])] {
                continue;
            }
            let Some(name) = self.before(&text[done..at]) else {
                continue;
            };
            let behind = text[at + 1..].trim_start();
            let value = behind.strip_prefix(['"', '\'']).unwrap_or(behind);
            if let Some(number) = number::leading(value) {
                done = text.len() - value.len() + number.len;
                found(name, number.value.into_owned());
            }
        }
    }

    /// The name with which a text ends.
    fn before(&self, text: &str) -> Option<&str> {
        let text = text.trim_end();
        let quote = text.chars().next_back().filter(|c| matches!(c, '"' | '\''));
        let unquoted = quote.and_then(|quote| text.strip_suffix(quote));
        let fits = |name: &&String| {
            let plain = text
                .strip_suffix(name.as_str())
                .is_some_and(|before| begins(before, name));
            let quoted = unquoted.and_then(|text| text.strip_suffix(name.as_str()));
            plain || quoted.is_some_and(|before| quote.is_some_and(|quote| before.ends_with(quote)))
        };
        self.list.iter().find(fits).map(String::as_str)
    }
}

/// Whether a name begins here, rather than being the end of a longer one.
fn begins(before: &str, name: &str) -> bool {
    // Katib ends a name at any letter that is not ASCII; a name of such letters must not end there.
    let foreign = name.starts_with(|c: char| !c.is_ascii());
    let in_name = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '|' | '-' | '/')
            || (foreign && c.is_alphanumeric())
    };
    let sentence = before.strip_suffix('.');
    if let Some(before) = sentence {
        // `val.loss` is another name than `loss`.
        return !before.ends_with(in_name);
    }
    let run = before.trim_end_matches(in_name);
    // Bars alone are the edge of a table.
    before[run.len()..].trim_start_matches('|').is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `names | text` on the left, `name=value …` on the right.
    #[track_caller]
    fn check(names: &str, text: &str, expected: &str) {
        let names = Names::new(names.split(' ').map(Into::into).collect());
        let mut found = Vec::new();
        names.each(text, &mut |name, value| {
            found.push(format!("{name}={value}"));
        });
        assert_eq!(found.join(" "), expected, "{text}");
    }

    #[test]
    fn rows_of_katib_where_they_are_right() {
        check("loss acc", "loss=0.5 acc=0.9", "loss=0.5 acc=0.9");
        check("loss acc", "{loss = 0.5, acc =0.9}", "loss=0.5 acc=0.9");
        check("loss", "loss=1e-5", "loss=1e-5");
        check("loss", "loss = .5e+3", "loss=.5e+3");
        check("loss", "loss = -0.5", "loss=-0.5");
        check("val-loss loss", "val-loss = 0.5", "val-loss=0.5");
        check("a|b b", "a|b=1", "a|b=1");
        check("loss", "loss=0.5loss=0.6", "loss=0.5 loss=0.6");
        check("loss", "INFO:root:loss=0.5", "loss=0.5");
        check("loss", "loss=0.5s", "loss=0.5");
        check("loss", "потеряloss=0.5", "loss=0.5");
        check("loss", "other=0.5", "");
        check("loss", "train.py --loss=0.5", "");
        check("loss", "my_loss=0.5 lossy=1", "");
    }

    #[test]
    fn rows_where_katib_is_wrong() {
        check("loss", "loss=nan", "loss=nan");
        check("loss", "loss = -inf", "loss=-inf");
        check("loss", "loss=abc", "");
        check("loss", "loss = -", "");
        check("loss", "loss=none of it", "");
        check("loss", "loss=1.", "loss=1");
        check("acc", "acc=5%", "acc=0.05");
        check("loss acc", "loss=1,234, acc=1", "loss=1234 acc=1");
        check("loss", "train/loss=0.5", "");
        check("train/loss loss", "train/loss=0.5", "train/loss=0.5");
        check("loss", "val.loss=0.5", "");
        check("val.loss", "val.loss=0.5", "val.loss=0.5");
        check("loss", "done. loss=0.5", "loss=0.5");
        check("loss", "loss: 0.5", "loss=0.5");
        check(
            "loss acc",
            "1/1 - 0s - loss: 0.25 - acc: 0.75",
            "loss=0.25 acc=0.75",
        );
        check("loss acc", "|loss=0.5|acc=0.9|", "loss=0.5 acc=0.9");
        check(
            "loss epoch",
            "{'loss': 0.52, \"epoch\": 1.0}",
            "loss=0.52 epoch=1.0",
        );
        check("loss", "loss=\"0.5\"", "loss=0.5");
        check("loss", "'loss=\": 1", "");
        check("точность", "точность=0.5", "точность=0.5");
        check("точность", "неточность=0.5", "");
        check("val:loss", "val:loss=0.5", "val:loss=0.5");
        check("loss", "loss==0.5 loss<=1 loss:=2", "");
    }
}
