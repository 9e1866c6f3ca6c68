//! How many pods each ReplicaSet of a Deployment is to have. Pure.

use serde_json::Value;

use crate::object::{metadata, number};

/// On ReplicaSets: how many pods the Deployment wanted when the set was given its size.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// On ReplicaSets: how many pods there might be in all then.
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// How many pods a Deployment wants, and how many may be missing or too many in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// As many are wanted.
    pub(super) wanted: u64,
    /// At most so many in all.
    pub(super) most: u64,
    /// At least so many available.
    pub(super) least: u64,
}

impl Bounds {
    /// Of a Deployment.
    pub(super) fn of(deployment: &Value) -> Self {
        let spec = &deployment["spec"];
        let wanted = number(&spec["replicas"], 1);
        if spec["strategy"]["type"] == "Recreate" {
            return Self {
                wanted,
                most: wanted,
                least: wanted,
            };
        }
        let rolling = &spec["strategy"]["rollingUpdate"];
        let surge = amount(&rolling["maxSurge"], wanted, true);
        let mut missing = amount(&rolling["maxUnavailable"], wanted, false);
        if surge == 0 && missing == 0 {
            missing = 1;
        }
        Self {
            wanted,
            most: if wanted == 0 { 0 } else { wanted + surge },
            least: wanted - missing.min(wanted),
        }
    }
}

/// A number, or a share of the total.
fn amount(value: &Value, total: u64, up: bool) -> u64 {
    let Some(percent) = value.as_str().and_then(|text| text.strip_suffix('%')) else {
        return number(value, 0);
    };
    let share = percent.parse::<u64>().unwrap_or(0) * total;
    if up { share.div_ceil(100) } else { share / 100 }
}

/// A ReplicaSet and the size that it gets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set<'a> {
    /// The ReplicaSet.
    pub(super) object: &'a Value,
    /// The pods that are to be.
    pub(super) size: u64,
    /// So many are available.
    pub(super) available: u64,
}

impl<'a> Set<'a> {
    pub(super) fn new(object: &'a Value) -> Self {
        Self {
            object,
            size: size(object),
            available: number(&object["status"]["availableReplicas"], 0),
        }
    }

    fn annotation(&self, key: &str) -> Option<u64> {
        self.object["metadata"]["annotations"][key]
            .as_str()?
            .parse()
            .ok()
    }

    pub(super) fn is_resized(&self) -> bool {
        self.size != size(self.object)
    }

    /// When it was made, and as what: the order of ReplicaSets.
    pub(super) fn age(&self) -> (&'a str, &'a str) {
        (
            metadata(self.object, "creationTimestamp"),
            metadata(self.object, "name"),
        )
    }
}

/// The size that a ReplicaSet has.
pub(super) fn size(set: &Value) -> u64 {
    number(&set["spec"]["replicas"], 1)
}

fn total(sets: &[Set<'_>]) -> u64 {
    sets.iter().map(|set| set.size).sum()
}

/// Whether the Deployment's size has changed since its ReplicaSets were given theirs.
pub(super) fn is_scaled(sets: &[Set<'_>], bounds: Bounds) -> bool {
    let mut active = sets.iter().filter(|set| set.size > 0);
    active.any(|set| {
        set.annotation(DESIRED)
            .is_some_and(|desired| desired != bounds.wanted)
    })
}

/// Gives all ReplicaSets a share of the Deployment's size. The sets are in order of age, and `new`
/// is the place of the one with the Deployment's template.
pub(super) fn scale(
    sets: &mut [Set<'_>],
    new: Option<usize>,
    bounds: Bounds,
    rolling: bool,
    before: u64,
) {
    let active: Vec<usize> = (0..sets.len()).filter(|i| sets[*i].size > 0).collect();
    let only = match active[..] {
        [] => new.or(sets.len().checked_sub(1)),
        [only] => Some(only),
        _ => None,
    };
    if let Some(only) = only {
        sets[only].size = bounds.wanted;
        return;
    }
    if let Some(new) = new.filter(|new| is_saturated(&sets[*new], bounds)) {
        let others = active.into_iter().filter(|i| *i != new);
        others.for_each(|i| sets[i].size = 0);
        return;
    }
    if rolling {
        share(sets, active, bounds, before);
    }
}

/// Whether the new ReplicaSet alone does what the Deployment wants.
fn is_saturated(set: &Set<'_>, bounds: Bounds) -> bool {
    let wanted = bounds.wanted;
    set.size == wanted && set.annotation(DESIRED) == Some(wanted) && set.available == wanted
}

fn share(sets: &mut [Set<'_>], mut active: Vec<usize>, bounds: Bounds, before: u64) {
    let to_add = bounds.most as i64 - total(sets) as i64;
    // The largest gets what is left over: of equals the newest when growing, else the oldest.
    active.sort_by_key(|i| {
        let place = if to_add > 0 { -(*i as i64) } else { *i as i64 };
        (-(sets[*i].size as i64), place)
    });
    let mut added = 0;
    let mut sizes = Vec::new();
    for i in &active {
        let part = part(&sets[*i], bounds, before, to_add, added);
        added += part;
        sizes.push(sets[*i].size as i64 + part);
    }
    if let Some(first) = sizes.first_mut() {
        *first += to_add - added;
    }
    for (i, size) in active.into_iter().zip(sizes) {
        sets[i].size = size.max(0) as u64;
    }
}

/// What one ReplicaSet gets of what is added to all, or taken from all.
fn part(set: &Set<'_>, bounds: Bounds, before: u64, to_add: i64, added: i64) -> i64 {
    let size = set.size as i64;
    if size == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = if bounds.wanted == 0 {
        -size
    } else {
        let most = set.annotation(MOST).unwrap_or(before).max(1);
        let fair = (set.size * bounds.most) as f64 / most as f64;
        fair.round() as i64 - size
    };
    let left = to_add - added;
    if to_add > 0 {
        fraction.min(left)
    } else {
        fraction.max(left)
    }
}

/// One step of a rolling update: the new ReplicaSet grows, or else old ones shrink.
pub(super) fn roll(sets: &mut [Set<'_>], new: usize, bounds: Bounds) {
    let grown = grown(sets[new].size, total(sets), bounds);
    if grown != sets[new].size {
        sets[new].size = grown;
        return;
    }
    let unavailable = sets[new].size.saturating_sub(sets[new].available);
    let spare = (total(sets) as i64 - bounds.least as i64 - unavailable as i64).max(0) as u64;
    let mut left = spare;
    let olds = || (0..sets.len()).filter(move |i| *i != new);
    let olds: Vec<usize> = olds().collect();
    // Pods that do not work go first: nobody misses them.
    for i in &olds {
        let broken = sets[*i].size.saturating_sub(sets[*i].available).min(left);
        sets[*i].size -= broken;
        left -= broken;
    }
    let available: u64 = sets.iter().map(|set| set.available).sum();
    let mut surplus = if spare == 0 {
        0
    } else {
        available.saturating_sub(bounds.least)
    };
    for i in &olds {
        let fewer = sets[*i].size.min(surplus);
        sets[*i].size -= fewer;
        surplus -= fewer;
    }
}

/// The size of the new ReplicaSet, as there is room for it.
pub(super) fn grown(size: u64, total: u64, bounds: Bounds) -> u64 {
    if size >= bounds.wanted {
        return bounds.wanted;
    }
    let room = bounds.most.saturating_sub(total);
    size + room.min(bounds.wanted - size)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: u64, surge: Value, missing: Value) -> Value {
        json!({ "spec": { "replicas": replicas, "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": surge, "maxUnavailable": missing },
        }}})
    }

    #[test]
    fn shares_are_rounded_so_that_something_moves() {
        let check = |replicas, surge: Value, missing: Value, expected| {
            let bounds = Bounds::of(&deployment(replicas, surge, missing));
            assert_eq!((bounds.most, bounds.least), expected);
        };
        check(10, json!("25%"), json!("25%"), (13, 8));
        check(1, json!("25%"), json!("25%"), (2, 1));
        check(3, json!(0), json!("10%"), (3, 2));
        check(2, json!(1), json!(5), (3, 0));
        check(0, json!(1), json!(0), (0, 0));
    }

    /// ReplicaSets as (size, available), the last one new.
    fn rolled(sets: &[(u64, u64)], replicas: u64) -> Vec<u64> {
        let bounds = Bounds::of(&deployment(replicas, json!(1), json!(1)));
        let objects: Vec<Value> = sets
            .iter()
            .map(|(size, available)| {
                json!({ "spec": { "replicas": size }, "status": { "availableReplicas": available } })
            })
            .collect();
        let mut sets: Vec<Set<'_>> = objects.iter().map(Set::new).collect();
        let new = sets.len() - 1;
        roll(&mut sets, new, bounds);
        sets.iter().map(|set| set.size).collect()
    }

    #[test]
    fn a_rolling_update_keeps_within_its_bounds() {
        assert_eq!(rolled(&[(3, 3), (0, 0)], 3), [3, 1]);
        // As many as may be: old ones go, one less than wanted stays available.
        assert_eq!(rolled(&[(3, 3), (1, 0)], 3), [2, 1]);
        assert_eq!(rolled(&[(2, 2), (2, 0)], 3), [2, 2]);
        assert_eq!(rolled(&[(2, 2), (2, 2)], 3), [0, 2]);
        assert_eq!(rolled(&[(0, 0), (2, 2)], 3), [0, 3]);
        // What does not work goes first.
        assert_eq!(rolled(&[(1, 0), (2, 2), (1, 1)], 3), [0, 1, 1]);
    }

    fn shared(sets: &[(u64, u64)], was: u64, is: u64) -> Vec<u64> {
        let objects: Vec<Value> = sets
            .iter()
            .map(|(size, available)| {
                json!({
                    "metadata": { "annotations": { DESIRED: was.to_string(), MOST: (was + 1).to_string() } },
                    "spec": { "replicas": size }, "status": { "availableReplicas": available },
                })
            })
            .collect();
        let mut sets: Vec<Set<'_>> = objects.iter().map(Set::new).collect();
        let bounds = Bounds::of(&deployment(is, json!(1), json!(1)));
        assert_eq!(is_scaled(&sets, bounds), was != is);
        let new = sets.len() - 1;
        scale(&mut sets, Some(new), bounds, true, was);
        sets.iter().map(|set| set.size).collect()
    }

    #[test]
    fn a_new_size_is_shared_among_the_sets() {
        assert_eq!(shared(&[(0, 0), (3, 3)], 3, 5), [0, 5]);
        assert_eq!(shared(&[(3, 3), (0, 0)], 3, 1), [1, 0]);
        // In the middle of a rolling update both sets grow, up to one more than wanted.
        assert_eq!(shared(&[(6, 6), (5, 2)], 10, 20), [11, 10]);
        assert_eq!(shared(&[(6, 6), (5, 2)], 10, 0), [0, 0]);
    }
}
