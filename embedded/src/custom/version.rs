//! Names of versions.

use std::cmp::Reverse;

/// How much a version is preferred: greater is better. Stable ones come before betas and alphas,
/// later ones before earlier, and names that are no versions last, in the order of the alphabet.
pub(crate) fn priority(version: &str) -> impl Ord + use<> {
    let (class, major, minor) = parse(version).unwrap_or_default();
    (class, major, minor, Reverse(version.to_owned()))
}

/// Whether it is stable (3), a beta (2) or an alpha (1), and its numbers.
fn parse(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, rest) = rest.split_at(end);
    let major = major.parse().ok()?;
    if rest.is_empty() {
        return Some((3, major, 0));
    }
    let (class, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(minor), _) => (2, minor),
        (_, Some(minor)) => (1, minor),
        _ => return None,
    };
    Some((class, major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::priority;

    #[test]
    fn stable_and_late_versions_come_first() {
        let sorted = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        let mut versions = sorted;
        versions.sort_unstable();
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, sorted);
    }
}
