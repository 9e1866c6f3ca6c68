use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;
use crate::template::HASH;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn deployment(spec: Value) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "d", "uid": "u", "generation": 1 },
        "spec": {
            "replicas": 2, "progressDeadlineSeconds": 60, "revisionHistoryLimit": 10,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "selector": { "matchLabels": { "a": "b" } },
            "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "image": "1" } },
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        deployment["spec"][field] = value.clone();
    }
    deployment
}

/// A world in which plans are carried out and pods come up at once, or never.
struct World {
    deployment: Value,
    sets: Vec<Value>,
    works: bool,
    told: Vec<String>,
    second: i64,
}

impl World {
    fn new(spec: Value) -> Self {
        Self {
            deployment: deployment(spec),
            sets: Vec::new(),
            works: true,
            told: Vec::new(),
            second: 0,
        }
    }

    /// Plans and carries the plan out; returns whether anything changed.
    fn step(&mut self) -> bool {
        let sets: Vec<&Value> = self.sets.iter().collect();
        let alive = sets.iter().filter(|set| set["status"]["replicas"] != 0);
        let alive: Vec<&str> = alive.map(|set| metadata(set, "name")).collect();
        let seen = Situation {
            deployment: &self.deployment,
            sets: &sets,
            alive: &alive,
            taken: None,
            now: at(self.second),
        };
        let plan = plan(&seen);
        let changed = !plan.actions.is_empty() || plan.status != self.deployment["status"];
        self.deployment["status"] = plan.status;
        if let Some(revision) = plan.revision {
            self.deployment["metadata"]["annotations"][REVISION] = json!(revision.to_string());
        }
        self.told
            .extend(plan.events.into_iter().map(|event| event.message));
        for action in plan.actions {
            match action {
                Action::Create(mut set) => {
                    let made = format!("2026-01-01T00:00:{:02}Z", self.sets.len());
                    set["metadata"]["creationTimestamp"] = json!(made);
                    self.sets.push(set);
                }
                Action::Change {
                    name,
                    size,
                    annotations,
                } => {
                    let set = self
                        .sets
                        .iter_mut()
                        .find(|set| set["metadata"]["name"] == *name);
                    let set = set.unwrap();
                    set["spec"]["replicas"] = json!(size);
                    set["metadata"]["annotations"] = json!(annotations);
                }
                Action::Delete(name) => self.sets.retain(|set| set["metadata"]["name"] != *name),
            }
        }
        let works = self.works;
        for set in &mut self.sets {
            let size = set["spec"]["replicas"].as_u64().unwrap();
            let had = number(&set["status"]["availableReplicas"], 0);
            let available = if works { size } else { had.min(size) };
            set["status"] = json!({
                "replicas": size, "readyReplicas": available, "availableReplicas": available,
            });
        }
        changed
    }

    fn settle(&mut self) {
        for _ in 0..50 {
            if !self.step() {
                return;
            }
        }
        panic!("it does not settle: {:#?}", self.deployment);
    }

    fn image(&mut self, image: &str) {
        self.deployment["spec"]["template"]["spec"]["image"] = json!(image);
        let generation = self.deployment["metadata"]["generation"].as_u64().unwrap();
        self.deployment["metadata"]["generation"] = json!(generation + 1);
    }

    /// The sizes of the sets in order of age.
    fn sizes(&self) -> Vec<u64> {
        self.sets.iter().map(size).collect()
    }

    fn reason(&self, kind: &str) -> &str {
        let found = condition(&self.deployment, kind);
        found.and_then(|c| c["reason"].as_str()).unwrap_or("none")
    }

    fn revisions(&self) -> Vec<u64> {
        self.sets.iter().map(revision).collect()
    }
}

#[test]
fn a_deployment_makes_a_replica_set_and_is_complete_when_its_pods_are() {
    let mut world = World::new(json!({}));
    world.settle();
    assert_eq!(world.sizes(), [2]);
    let set = &world.sets[0];
    let word = set["metadata"]["labels"][HASH].as_str().unwrap();
    assert_eq!(set["metadata"]["name"], format!("d-{word}"));
    assert_eq!(
        set["spec"]["selector"]["matchLabels"],
        json!({ "a": "b", HASH: word })
    );
    assert_eq!(world.deployment["metadata"]["annotations"][REVISION], "1");
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    assert_eq!(world.reason("Available"), "MinimumReplicasAvailable");
    assert_eq!(
        world.told,
        [format!("Scaled up replica set d-{word} from 0 to 2")]
    );
}

#[test]
fn a_rolling_update_replaces_pods_one_by_one() {
    let mut world = World::new(json!({}));
    world.settle();
    world.image("2");
    let mut seen = vec![world.sizes()];
    while world.step() {
        if seen.last() != Some(&world.sizes()) {
            seen.push(world.sizes());
        }
    }
    let expected: [&[u64]; 5] = [&[2], &[2, 1], &[1, 1], &[1, 2], &[0, 2]];
    assert_eq!(seen, expected);
    assert_eq!(world.revisions(), [1, 2]);
    // Back to the first template: the same set, with a new revision.
    world.image("1");
    world.settle();
    assert_eq!((world.sizes(), world.revisions()), (vec![2, 0], vec![3, 2]));
    assert_eq!(world.deployment["metadata"]["annotations"][REVISION], "3");
}

#[test]
fn recreation_waits_for_the_old_pods() {
    let mut world = World::new(json!({ "strategy": { "type": "Recreate" } }));
    world.settle();
    world.image("2");
    world.step();
    assert_eq!(world.sizes(), [0]);
    world.sets[0]["status"]["replicas"] = json!(1);
    world.step();
    assert_eq!(world.sizes(), [0]);
    world.settle();
    assert_eq!(world.sizes(), [0, 2]);
}

#[test]
fn a_rollout_that_does_not_get_on_is_late() {
    let mut world = World::new(json!({}));
    world.settle();
    world.works = false;
    world.image("2");
    world.settle();
    assert_eq!(world.sizes(), [2, 1]);
    assert_eq!(world.reason("Progressing"), "ReplicaSetUpdated");
    world.second = 61;
    world.settle();
    assert_eq!(world.reason("Progressing"), "ProgressDeadlineExceeded");
    let late = condition(&world.deployment, "Progressing").unwrap();
    assert_eq!(late["status"], "False");
    assert_eq!(world.reason("Available"), "MinimumReplicasAvailable");
    // It goes on when that is possible after all.
    world.works = true;
    world.step();
    world.settle();
    assert_eq!(
        (world.sizes(), world.reason("Progressing")),
        (vec![0, 2], "NewReplicaSetAvailable")
    );
}

#[test]
fn a_paused_deployment_is_scaled_and_not_rolled() {
    let mut world = World::new(json!({}));
    world.settle();
    world.deployment["spec"]["paused"] = json!(true);
    world.image("2");
    world.deployment["spec"]["replicas"] = json!(3);
    world.settle();
    assert_eq!(
        (world.sizes(), world.reason("Progressing")),
        (vec![3], "DeploymentPaused")
    );
    world.deployment["spec"]["paused"] = json!(false);
    world.settle();
    assert_eq!(
        (world.sizes(), world.reason("Progressing")),
        (vec![0, 3], "NewReplicaSetAvailable")
    );
}

#[test]
fn only_so_many_old_revisions_are_kept() {
    let mut world = World::new(json!({ "revisionHistoryLimit": 2 }));
    for image in ["1", "2", "3", "4", "5"] {
        world.image(image);
        world.settle();
    }
    assert_eq!(world.revisions(), [3, 4, 5]);
}

#[test]
fn a_name_that_another_has_is_not_tried_again() {
    let deployment = deployment(json!({}));
    let seen = |taken| {
        let now = at(0);
        plan(&Situation {
            deployment: &deployment,
            sets: &[],
            alive: &[],
            taken,
            now,
        })
    };
    let name = |plan: &Plan| match &plan.actions[..] {
        [Action::Create(set)] => metadata(set, "name").to_owned(),
        other => panic!("{other:?}"),
    };
    let first = name(&seen(None));
    let second = seen(Some(first.as_str()));
    assert_ne!(name(&second), first);
    assert_eq!(second.status["collisionCount"], 1);
}
