//! The settings of the controller, in the words of Katib's service.

use super::controller::Shape;
use super::training::Plan;
use crate::algorithms::random;
use crate::nas::Graph;
use crate::{Kind, Problem, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "controller_baseline_decay",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| real(name, value, ("0.0", "1.0")),
        },
        default: "0.999",
        doc: "how much of the baseline, a moving mean of rewards, is kept at each step",
    },
    Setting {
        name: "controller_entropy_weight",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| optional(name, value, ("0.0", "inf")),
        },
        default: "0.03",
        doc: "weight of the bonus for entropy, which keeps it from drawing one architecture and \
              its like; None for no bonus; Katib's service has 1e-5",
    },
    Setting {
        name: "controller_hidden_size",
        kind: Kind::Judged {
            word: "int",
            refusal: whole,
        },
        default: "64",
        doc: "numbers in the state of the controller, at most 1024",
    },
    Setting {
        name: "controller_learning_rate",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| real(name, value, ("0.0", "1.0")),
        },
        default: "0.002",
        doc: "step size of Adam; Katib's service has 5e-5, with which nothing is learned in \
              hundreds of trials",
    },
    Setting {
        name: "controller_log_every_steps",
        kind: Kind::Judged {
            word: "int",
            refusal: whole,
        },
        default: "10",
        doc: "accepted and without effect: nothing is logged of single steps",
    },
    Setting {
        name: "controller_skip_target",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| real(name, value, ("0.0", "1.0")),
        },
        default: "0.4",
        doc: "share of connections that is wanted",
    },
    Setting {
        name: "controller_skip_weight",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| optional(name, value, ("0", "inf")),
        },
        default: "None",
        doc: "weight of the penalty for another share; None for no penalty: rewards say what \
              connections are worth; Katib's service has 0.8",
    },
    Setting {
        name: "controller_tanh_const",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| optional(name, value, ("0", "inf")),
        },
        default: "2.25",
        doc: "how large logits can be, so that no choice becomes certain; None for no bound",
    },
    Setting {
        name: "controller_temperature",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| optional(name, value, ("0", "inf")),
        },
        default: "5.0",
        doc: "what logits are divided by; None for 1",
    },
    Setting {
        name: "controller_train_steps",
        kind: Kind::Judged {
            word: "int",
            refusal: whole,
        },
        default: "50",
        doc: "steps of training after each trial",
    },
    random::RANDOM_STATE,
];

/// A state of more numbers than this takes seconds to train.
const MAX_HIDDEN: u64 = 1024;

fn optional(name: &str, value: &str, range: (&str, &str)) -> Option<String> {
    (value.trim() != "None").then(|| real(name, value, range))?
}

/// A number above the first bound and up to the second.
fn real(name: &str, value: &str, (low, high): (&str, &str)) -> Option<String> {
    let Ok(x) = value.trim().parse::<f64>() else {
        return Some(format!(
            "Algorithm Setting {name} must be float type: {value} is not a number"
        ));
    };
    let bound = |text: &str| text.parse().unwrap_or(f64::INFINITY);
    if x > bound(low) && x <= bound(high) && x.is_finite() {
        return None;
    }
    let x = crate::nas::number(x);
    Some(format!(
        "Algorithm Setting {name}: {x} with float type must be in range ({low}, {high}]"
    ))
}

fn whole(name: &str, value: &str) -> Option<String> {
    match value.trim().parse::<i64>() {
        Ok(n) if n >= 1 => None,
        Ok(n) => Some(format!(
            "Algorithm Setting {name}: {n} with int type must be in range [1, inf)"
        )),
        Err(_) => Some(format!(
            "Algorithm Setting {name} must be int type: {value} is not a whole number"
        )),
    }
}

fn number(settings: &Settings, name: &str) -> Option<f32> {
    settings.float(name).map(|x| x as f32)
}

/// The controller that the settings describe.
pub(super) fn shape(settings: &Settings, graph: &Graph) -> Shape {
    let hidden = settings.int("controller_hidden_size").unwrap_or(64);
    Shape {
        layers: graph.layers,
        operations: graph.operations(),
        hidden: hidden.min(MAX_HIDDEN) as usize,
        temperature: number(settings, "controller_temperature").unwrap_or(1.0),
        tanh_const: number(settings, "controller_tanh_const"),
        skip_target: number(settings, "controller_skip_target").unwrap_or(0.4),
    }
}

/// How it is trained.
pub(super) fn plan(problem: &Problem) -> Plan {
    let settings = &problem.settings;
    Plan {
        seed: problem.seed,
        steps: settings.int("controller_train_steps").unwrap_or(50) as usize,
        rate: number(settings, "controller_learning_rate").unwrap_or(0.002),
        decay: number(settings, "controller_baseline_decay").unwrap_or(0.999),
        entropy: number(settings, "controller_entropy_weight").unwrap_or(0.0),
        skip: number(settings, "controller_skip_weight").unwrap_or(0.0),
    }
}
