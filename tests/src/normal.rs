//! What differs from one run of a client to the next, replaced by words: times, ages, identities,
//! generated names, addresses. What is left can be compared, also between two servers.

use std::sync::LazyLock;

use regex::Regex;

/// Letters of generated names: those of Kubernetes, which spell no words.
const GENERATED: &str = "[bcdfghjklmnpqrstvwxz2456789]";

/// Patterns in the order in which they are replaced: what is longer comes first.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let hash = format!("((?:pod-template|revision)-hash\"?[=:] ?\"?){GENERATED}{{6,10}}\\b");
    let revision = format!("(-){GENERATED}{{6,10}}-{GENERATED}{{5}}\\b");
    let name = format!("([a-z0-9]-){GENERATED}{{5,10}}\\b");
    let rules = [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "UID",
        ),
        (r"(containerd|diwan)://[0-9a-zA-Z/._-]+", "CONTAINER"),
        (r"\bsha256:[0-9a-f]{64}\b", "DIGEST"),
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
            "TIME",
        ),
        (
            r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
            "TIME",
        ),
        (r#"(resourceVersion"?: ?)"\d+""#, "${1}VERSION"),
        (r"(Resource Version: +)\d+", "${1}VERSION"),
        (r"\b\d{1,3}(\.\d{1,3}){3}\b", "IP"),
        // kubectl's ages: of the time that a run takes, and of what was there before.
        (
            r"\b(\d+d)?(\d+h)?(\d+m)?\d+s\b|\b\d+d\d*h?\b|\b\d+h(\d+m)?\b|\b\dm\b",
            "AGE",
        ),
        (r"<invalid>", "AGE"),
        (&hash, "${1}HASH"),
        (&revision, "${1}HASH-NAME"),
        (&name, "${1}NAME"),
        (r"\b3[0-2]\d{3}\b", "NODEPORT"),
    ];
    let compiled = rules.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word));
    compiled.into()
});

/// Columns keep apart by two blanks, however wide their cells are; indentation stays.
static COLUMNS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S) {2,}").unwrap());

/// What was printed, in words that stay the same; empty lines and blanks at the end go.
pub fn normal(text: &str) -> Vec<String> {
    let mut text = text.replace('\t', "    ");
    for (pattern, word) in RULES.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    let lines = text.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.trim().is_empty());
    lines
        .map(|line| COLUMNS.replace_all(line, "$1  ").into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::normal;

    fn check(text: &str, expected: &str) {
        assert_eq!(normal(text).join("\n"), expected);
    }

    #[test]
    fn a_table_keeps_its_cells() {
        check(
            "NAME        READY   AGE\nweb-5d8c6b7f9b-x2k4z   1/1     5s\njob-qwx7z  0/1  2m3s\n",
            "NAME  READY  AGE\nweb-HASH-NAME  1/1  AGE\njob-NAME  0/1  AGE",
        );
    }

    #[test]
    fn identities_times_and_versions_of_an_object_become_words() {
        check(
            "  uid: 0b1c2d3e-0000-4000-8000-00000000abcd\n  resourceVersion: \"123\"\n  at: \"2026-01-02T03:04:05Z\"\n",
            "  uid: UID\n  resourceVersion: VERSION\n  at: \"TIME\"",
        );
        check("pod-template-hash=5d8c6b7f9b", "pod-template-hash=HASH");
        check("IP:   10.1.2.3", "IP:  IP");
    }

    #[test]
    fn quantities_and_words_stay() {
        check("cpu: 250m, memory: 64Mi\n\n", "cpu: 250m, memory: 64Mi");
        check("kube-root-ca.crt web-canary", "kube-root-ca.crt web-canary");
    }
}
