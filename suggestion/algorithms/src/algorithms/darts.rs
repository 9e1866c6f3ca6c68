//! Differentiable architecture search (Liu et al., "DARTS", 2019). The search itself, over weights
//! and architecture at once, is the trial's: every trial is told the search space, the settings
//! and the number of layers, in the words of Katib's service.
//!
//! Unlike that service, which forgets what it made with the first request, it answers as often as
//! it is asked, and a `skip_connection` needs no parameter.

use diwan_api::search_space::Domain;
use diwan_api::{NasConfig, ParameterAssignment, SearchSpace};

use crate::nas::{self, quoted};
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Proposal, Refusal, Setting, Settings,
    Suggested, Trial,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "darts",
    aliases: &[],
    summary: "hands the space of architectures to trials that search it by gradients",
    settings: SETTINGS,
    // They are handed to the trial.
    ignores_unknown_settings: true,
    supports: &[Capability::Parallel, Capability::Architectures],
    build: |problem| Ok(Box::new(Darts::new(problem)?)),
};

/// In the order in which Katib's service writes them.
const WRITTEN: [&str; 14] = [
    "num_epochs",
    "w_lr",
    "w_lr_min",
    "w_momentum",
    "w_weight_decay",
    "w_grad_clip",
    "alpha_lr",
    "alpha_weight_decay",
    "batch_size",
    "num_workers",
    "init_channels",
    "print_step",
    "num_nodes",
    "stem_multiplier",
];

const SETTINGS: &[Setting] = &[
    real("alpha_lr", "0.0003", "learning rate of the architecture"),
    real("alpha_weight_decay", "0.001", "decay of the architecture's weights"),
    Setting {
        name: "batch_size",
        kind: Kind::Judged {
            word: "int",
            refusal: |name, value| match value {
                "None" => None,
                _ => whole(name, value, 1, "batch_size should be greater than or equal to one"),
            },
        },
        default: "128",
        doc: "examples of a step; None leaves it to the trial",
    },
    count("init_channels", "16", "channels of the first cell"),
    Setting {
        name: "num_epochs",
        kind: Kind::Judged {
            word: "int",
            refusal: |name, value| {
                whole(name, value, 1, "num_epochs should be greater than zero")
            },
        },
        default: "50",
        doc: "how often a trial goes through its data",
    },
    count("num_nodes", "4", "nodes of a cell"),
    Setting {
        name: "num_workers",
        kind: Kind::Judged {
            word: "int",
            refusal: |name, value| {
                let text = "num_workers should be greater than or equal to zero";
                whole(name, value, 0, text)
            },
        },
        default: "4",
        doc: "processes that load data",
    },
    count("print_step", "50", "after how many steps a trial reports"),
    count("stem_multiplier", "3", "channels of the stem, in parts of `init_channels`"),
    real("w_grad_clip", "5.0", "longest gradient of the network's weights"),
    real("w_lr", "0.025", "learning rate of the network's weights"),
    real("w_lr_min", "0.001", "the same at the end"),
    real("w_momentum", "0.9", "momentum of the network's weights"),
    real("w_weight_decay", "0.0003", "decay of the network's weights"),
];

const fn real(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    let kind = Kind::Judged {
        word: "float",
        refusal: |name, value| match value.trim().parse::<f64>() {
            Ok(x) if x >= 0.0 => None,
            Ok(_) => Some(format!("{name} should be greater than or equal to zero")),
            Err(_) => Some(format!("failed to validate {name}({value}): not a number")),
        },
    };
    Setting {
        name,
        kind,
        default,
        doc,
    }
}

const fn count(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    let kind = Kind::Judged {
        word: "int",
        refusal: |name, value| {
            let text = format!("{name} should be greater than or equal to one");
            whole(name, value, 1, &text)
        },
    };
    Setting {
        name,
        kind,
        default,
        doc,
    }
}

fn whole(name: &str, value: &str, min: i64, refusal: &str) -> Option<String> {
    match value.trim().parse::<i64>() {
        Ok(n) if n >= min => None,
        Ok(_) => Some(refusal.to_owned()),
        Err(_) => Some(format!(
            "failed to validate {name}({value}): not a whole number"
        )),
    }
}

struct Darts {
    texts: Vec<ParameterAssignment>,
}

impl Darts {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let config = problem.nas.clone().unwrap_or_default();
        let layers = config.graph_config.as_ref().and_then(|g| g.num_layers);
        let assignment = |name: &str, value: String| ParameterAssignment {
            name: name.to_owned(),
            value,
        };
        Ok(Self {
            texts: vec![
                assignment("algorithm-settings", settings(&problem.settings)),
                assignment("search-space", search_space(&config)?),
                assignment("num-layers", layers.unwrap_or_default().to_string()),
            ],
        })
    }
}

/// The settings for the trial: those that were given as texts, others as numbers.
fn settings(settings: &Settings) -> String {
    let given = |name: &str| {
        let last = settings.raw().iter().rev().find(|s| s.name == name)?;
        Some(match last.value.as_str() {
            "None" => "null".to_owned(),
            text => quoted(text),
        })
    };
    let mut names: Vec<&str> = WRITTEN.to_vec();
    for setting in settings.raw() {
        if !names.contains(&setting.name.as_str()) {
            names.push(&setting.name);
        }
    }
    let pair = |name: &str| {
        let value = given(name).or_else(|| settings.text(name).map(str::to_owned));
        format!("{}: {}", quoted(name), value.unwrap_or_default())
    };
    let pairs: Vec<String> = names.into_iter().map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The operations for the trial: each with every value of its first parameter.
fn search_space(config: &NasConfig) -> Result<String, Refusal> {
    const SKIP: &str = "skip_connection";
    let (skips, mut others) = (config.operations.clone(), config.operations.clone());
    // It has no parameter of its own; Katib's examples give it one to please its service.
    for operation in others.iter_mut().filter(|o| o.operation_type == SKIP) {
        if operation.parameters.is_empty() {
            operation.parameters = placeholder();
        }
    }
    let mut errors = Vec::new();
    let spaces = nas::operations(&others, &mut errors);
    nas::refuse(errors)?;
    let mut names = Vec::new();
    for (operation, space) in skips.iter().zip(&spaces) {
        if operation.operation_type == SKIP {
            names.push(quoted(SKIP));
            continue;
        }
        for size in first_list(space) {
            names.push(quoted(&format!("{}_{size}x{size}", operation.operation_type)));
        }
    }
    Ok(format!("[{}]", names.join(", ")))
}

fn placeholder() -> Vec<diwan_api::ParameterSpec> {
    let mut parameter = diwan_api::ParameterSpec {
        name: "none".to_owned(),
        parameter_type: Some(diwan_api::ParameterType::Categorical),
        ..diwan_api::ParameterSpec::default()
    };
    parameter.feasible_space.list.push("none".to_owned());
    vec![parameter]
}

/// The values of the first parameter, if it has a list.
fn first_list(space: &SearchSpace) -> Vec<String> {
    match space.parameters.first().map(|p| &p.domain) {
        Some(Domain::Categorical(list)) => list.clone(),
        Some(Domain::Discrete(list)) => list.iter().map(|(_, text)| text.clone()).collect(),
        _ => Vec::new(),
    }
}

impl Designer for Darts {
    fn needs_history(&self) -> bool {
        false
    }

    fn observe(&mut self, _completed: &[Trial], _active: &[Trial]) {}

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let proposal = Proposal {
            texts: self.texts.clone(),
            ..Proposal::default()
        };
        Ok(Suggested {
            proposals: vec![proposal; count],
            ..Suggested::default()
        })
    }
}
