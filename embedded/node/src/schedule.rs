//! Which pods may run at the same time on this machine. Pure: no pod is started here.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::pod;
use crate::quantity;

/// The resource name of graphics processors.
const GPU: &str = "nvidia.com/gpu";

/// What a machine has or a pod asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Thousandths of a processor.
    pub(crate) cpu: u64,
    /// Bytes.
    pub(crate) memory: u64,
    /// Graphics processors.
    pub(crate) gpus: u64,
}

impl Resources {
    /// What a pod asks for: its containers and sidecars together, or an init container with the
    /// sidecars before it if that is more. A limit counts as a request where none is given.
    pub(crate) fn requested(spec: &PodSpec) -> Self {
        let mut sidecars = Self::default();
        let mut most = Self::default();
        for container in spec.init_containers.iter().flatten() {
            let with = Self::of(container).plus(sidecars);
            most = most.max(with);
            if pod::is_sidecar(container) {
                sidecars = with;
            }
        }
        let mains = spec.containers.iter().map(Self::of);
        mains.fold(sidecars, Self::plus).max(most)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            gpus: self.gpus.max(other.gpus),
        }
    }

    fn of(container: &Container) -> Self {
        let amount = |name: &str| {
            let resources = container.resources.as_ref()?;
            let of = |map: &Option<std::collections::BTreeMap<String, _>>| {
                map.as_ref().and_then(|m| m.get(name)).cloned()
            };
            let found: Option<k8s_openapi::apimachinery::pkg::api::resource::Quantity> =
                of(&resources.requests).or_else(|| of(&resources.limits));
            quantity::parse(&found?.0)
        };
        Self {
            cpu: (amount("cpu").unwrap_or(0.0) * 1000.0).ceil() as u64,
            memory: amount("memory").unwrap_or(0.0).ceil() as u64,
            gpus: amount(GPU).unwrap_or(0.0).ceil() as u64,
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Each resource with its name and amount as people write it.
    fn named(self) -> [(&'static str, u64, String); 3] {
        let cpu = match self.cpu % 1000 {
            0 => (self.cpu / 1000).to_string(),
            _ => format!("{}m", self.cpu),
        };
        let memory = match self.memory {
            m if m >= 1 << 20 => format!("{}Mi", m >> 20),
            m => m.to_string(),
        };
        [
            ("cpu", self.cpu, cpu),
            ("memory", self.memory, memory),
            (GPU, self.gpus, self.gpus.to_string()),
        ]
    }
}

/// A pod's place on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    resources: Resources,
    /// The numbers of the graphics processors that are the pod's alone.
    pub(crate) gpus: Vec<u64>,
}

/// What the machine has and what of it is in use.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    capacity: Resources,
    used: Resources,
    free_gpus: BTreeSet<u64>,
    /// How many pods without requests may run.
    max_pods: usize,
    running: usize,
}

impl Ledger {
    /// An empty machine.
    pub(crate) fn new(capacity: Resources, max_pods: usize) -> Self {
        let free_gpus = (0..capacity.gpus).collect();
        Self {
            capacity,
            used: Resources::default(),
            free_gpus,
            max_pods,
            running: 0,
        }
    }

    /// Says what is too large for the machine even when it is empty.
    pub(crate) fn refusal(&self, request: Resources) -> Option<String> {
        let too_large: Vec<String> = request
            .named()
            .into_iter()
            .zip(self.capacity.named())
            .filter(|(asked, has)| asked.1 > has.1)
            .map(|(asked, has)| {
                format!(
                    "the pod requests {} {}, the machine has {}",
                    asked.2, asked.0, has.2
                )
            })
            .collect();
        (!too_large.is_empty())
            .then(|| format!("0/1 nodes are available: {}", too_large.join("; ")))
    }

    /// Gives a pod its place, if there is room now.
    pub(crate) fn take(&mut self, request: Resources) -> Option<Place> {
        if request.is_none() {
            if self.running >= self.max_pods {
                return None;
            }
            self.running += 1;
            return Some(Place::default());
        }
        let fits = |asked: u64, used: u64, has: u64| asked.saturating_add(used) <= has;
        if !(fits(request.cpu, self.used.cpu, self.capacity.cpu)
            && fits(request.memory, self.used.memory, self.capacity.memory)
            && request.gpus as usize <= self.free_gpus.len())
        {
            return None;
        }
        let gpus = self
            .free_gpus
            .iter()
            .copied()
            .take(request.gpus as usize)
            .collect();
        Some(self.occupy(request, gpus))
    }

    /// Notes a pod that runs already, whether there is room or not.
    pub(crate) fn occupy(&mut self, request: Resources, gpus: Vec<u64>) -> Place {
        if request.is_none() {
            self.running += 1;
        }
        self.used.cpu = self.used.cpu.saturating_add(request.cpu);
        self.used.memory = self.used.memory.saturating_add(request.memory);
        for gpu in &gpus {
            self.free_gpus.remove(gpu);
        }
        Place {
            resources: request,
            gpus,
        }
    }

    /// Takes a place back.
    pub(crate) fn release(&mut self, place: Place) {
        if place.resources.is_none() {
            self.running -= 1;
        }
        self.used.cpu = self.used.cpu.saturating_sub(place.resources.cpu);
        self.used.memory = self.used.memory.saturating_sub(place.resources.memory);
        self.free_gpus.extend(place.gpus);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    const MACHINE: Resources = Resources {
        cpu: 4000,
        memory: 8 << 30,
        gpus: 2,
    };

    fn request(containers: &Value) -> Resources {
        Resources::requested(&serde_json::from_value(json!({ "containers": containers })).unwrap())
    }

    #[test]
    fn containers_add_up_and_limits_stand_in_for_requests() {
        let asked = request(&json!([
            { "name": "a", "resources": { "requests": { "cpu": "500m", "memory": "1Gi" } } },
            { "name": "b", "resources": { "limits": { "cpu": "1", "nvidia.com/gpu": "1" } } },
        ]));
        assert_eq!(
            asked,
            Resources {
                cpu: 1500,
                memory: 1 << 30,
                gpus: 1
            }
        );
    }

    #[test]
    fn sidecars_count_beside_what_runs_with_them() {
        let container =
            |cpu: &str| json!({ "name": "c", "resources": { "requests": { "cpu": cpu } } });
        let mut sidecar = container("2");
        sidecar["restartPolicy"] = json!("Always");
        let check = |inits: Value, main: &str, expected| {
            let spec = json!({ "initContainers": inits, "containers": [container(main)] });
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            assert_eq!(Resources::requested(&spec).cpu, expected);
        };
        check(json!([sidecar, container("3")]), "1", 5000);
        check(json!([container("3"), sidecar]), "1", 3000);
        check(json!([sidecar, sidecar]), "1", 5000);
    }

    #[test]
    fn amounts_beyond_all_bounds_are_refused_and_can_be_taken_back() {
        let huge =
            json!({ "requests": { "cpu": "1e30", "memory": "1e30", "nvidia.com/gpu": "1e30" } });
        let asked = request(&json!([
            { "name": "a", "resources": huge },
            { "name": "b", "resources": huge },
        ]));
        let mut ledger = Ledger::new(MACHINE, 8);
        assert!(ledger.refusal(asked).is_some());
        let small = Resources {
            cpu: 1,
            ..Resources::default()
        };
        let first = ledger.take(small).unwrap();
        assert_eq!(ledger.take(asked), None);
        let second = ledger.occupy(asked, Vec::new());
        ledger.release(first);
        ledger.release(second);
        assert!(ledger.take(MACHINE).is_some());
    }

    #[test]
    fn a_larger_init_container_counts_instead_of_the_sum() {
        let spec = serde_json::from_value(json!({
            "initContainers": [{ "name": "i", "resources": { "requests": { "cpu": "3" } } }],
            "containers": [{ "name": "a", "resources": { "requests": { "cpu": "1", "memory": "5" } } }],
        }));
        let asked = Resources::requested(&spec.unwrap());
        assert_eq!(
            asked,
            Resources {
                cpu: 3000,
                memory: 5,
                gpus: 0
            }
        );
    }

    #[test]
    fn a_request_beyond_the_machine_is_named_with_both_amounts() {
        let ledger = Ledger::new(MACHINE, 8);
        let asked = Resources {
            cpu: 64_000,
            memory: 1,
            gpus: 3,
        };
        assert_eq!(
            ledger.refusal(asked).as_deref(),
            Some(
                "0/1 nodes are available: the pod requests 64 cpu, the machine has 4; the pod \
                 requests 3 nvidia.com/gpu, the machine has 2"
            )
        );
        assert_eq!(ledger.refusal(MACHINE), None);
    }

    #[test]
    fn pods_without_requests_are_counted_apart_from_those_with() {
        let mut ledger = Ledger::new(MACHINE, 1);
        let small = ledger.take(Resources::default()).unwrap();
        assert_eq!(ledger.take(Resources::default()), None);
        let large = ledger
            .take(Resources {
                cpu: 4000,
                ..Resources::default()
            })
            .unwrap();
        assert_eq!(
            ledger.take(Resources {
                cpu: 1,
                ..Resources::default()
            }),
            None
        );
        ledger.release(small);
        ledger.release(large);
        assert!(ledger.take(Resources::default()).is_some());
        assert!(ledger.take(MACHINE).is_some());
    }

    #[test]
    fn each_gpu_is_given_to_one_pod_at_a_time() {
        let mut ledger = Ledger::new(MACHINE, 1);
        let one = Resources {
            gpus: 1,
            ..Resources::default()
        };
        let first = ledger.take(one).unwrap();
        let second = ledger.take(one).unwrap();
        assert_eq!(
            (first.gpus.as_slice(), second.gpus.as_slice()),
            (&[0][..], &[1][..])
        );
        assert_eq!(ledger.take(one), None);
        ledger.release(first);
        assert_eq!(ledger.take(one).unwrap().gpus, [0]);
    }
}
