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
    Suggested, Trial, UnknownSettings,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "darts",
    aliases: &[],
    summary: "hands the space of architectures to trials that search it by gradients",
    settings: SETTINGS,
    unknown_settings: UnknownSettings::HandedOver,
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
    real(
        "alpha_weight_decay",
        "0.001",
        "decay of the architecture's weights",
    ),
    Setting {
        name: "batch_size",
        kind: Kind::Judged {
            word: "int",
            refusal: |name, value| match value {
                "None" => None,
                _ => whole(
                    name,
                    value,
                    1,
                    "batch_size should be greater than or equal to one",
                ),
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
            refusal: |name, value| whole(name, value, 1, "num_epochs should be greater than zero"),
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
    count(
        "stem_multiplier",
        "3",
        "channels of the stem, in parts of `init_channels`",
    ),
    real(
        "w_grad_clip",
        "5.0",
        "longest gradient of the network's weights",
    ),
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
            names.push(quoted(&format!(
                "{}_{size}x{size}",
                operation.operation_type
            )));
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

#[cfg(test)]
mod tests {
    use diwan_api::nas::{GraphConfig, Operation};
    use diwan_api::{AlgorithmSetting, ParameterSpec, ParameterType, SearchSpace};

    use super::*;
    use crate::{Budget, Goal};

    fn operation(kind: &str, sizes: &[&str]) -> Operation {
        let mut parameter = ParameterSpec {
            name: "filter_size".to_owned(),
            parameter_type: Some(ParameterType::Categorical),
            ..ParameterSpec::default()
        };
        parameter.feasible_space.list = sizes.iter().map(ToString::to_string).collect();
        Operation {
            operation_type: kind.to_owned(),
            parameters: if sizes.is_empty() {
                Vec::new()
            } else {
                vec![parameter]
            },
        }
    }

    fn problem(operations: Vec<Operation>, given: &[(&str, &str)]) -> Problem {
        let given: Vec<AlgorithmSetting> = given
            .iter()
            .map(|(name, value)| AlgorithmSetting {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        Problem {
            space: SearchSpace {
                parameters: Vec::new(),
            },
            goal: Goal::Maximize,
            settings: Settings::parse(&ALGORITHM, &given).unwrap(),
            seed: 0,
            issued: 0,
            budget: Budget::default(),
            nas: Some(NasConfig {
                graph_config: Some(GraphConfig {
                    num_layers: Some(8),
                    ..GraphConfig::default()
                }),
                operations,
            }),
        }
    }

    #[test]
    fn every_trial_is_told_the_same_in_the_words_of_katib() {
        let operations = vec![
            operation("separable_convolution", &["3", "5"]),
            operation("skip_connection", &[]),
            operation("max_pooling", &["3"]),
        ];
        let given = [
            ("num_epochs", "1"),
            ("batch_size", "None"),
            ("colour", "red"),
        ];
        let mut darts = Darts::new(&problem(operations, &given)).unwrap();
        let suggested = darts.suggest(2).unwrap();
        assert_eq!(suggested.proposals.len(), 2);
        assert!(!suggested.exhausted);
        let texts: Vec<_> = suggested.proposals[1]
            .texts
            .iter()
            .map(|text| (text.name.as_str(), text.value.as_str()))
            .collect();
        let settings = "{'num_epochs': '1', 'w_lr': 0.025, 'w_lr_min': 0.001, 'w_momentum': 0.9, \
                        'w_weight_decay': 0.0003, 'w_grad_clip': 5.0, 'alpha_lr': 0.0003, \
                        'alpha_weight_decay': 0.001, 'batch_size': null, 'num_workers': 4, \
                        'init_channels': 16, 'print_step': 50, 'num_nodes': 4, \
                        'stem_multiplier': 3, 'colour': 'red'}";
        let space = "['separable_convolution_3x3', 'separable_convolution_5x5', \
                     'skip_connection', 'max_pooling_3x3']";
        assert_eq!(
            texts,
            [
                ("algorithm-settings", settings),
                ("search-space", space),
                ("num-layers", "8"),
            ]
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_in_the_words_of_katib() {
        let refusal = Darts::new(&problem(vec![operation("", &[])], &[])).err();
        assert_eq!(
            refusal.unwrap().0,
            "spec.nasConfig.operations[0].operationType: Missing operationType in Operation; \
             spec.nasConfig.operations[0].parameters: Missing ParameterConfigs in Operation"
        );
        let rows = [
            ("num_epochs", "0", "num_epochs should be greater than zero"),
            ("w_lr", "-1", "w_lr should be greater than or equal to zero"),
            (
                "batch_size",
                "0",
                "batch_size should be greater than or equal to one",
            ),
            (
                "num_workers",
                "-1",
                "num_workers should be greater than or equal to zero",
            ),
            (
                "num_nodes",
                "0",
                "num_nodes should be greater than or equal to one",
            ),
            (
                "num_nodes",
                "x",
                "failed to validate num_nodes(x): not a whole number",
            ),
        ];
        for (name, value, text) in rows {
            let setting = AlgorithmSetting {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            let errors = Settings::parse(&ALGORITHM, &[setting]).unwrap_err();
            assert_eq!(errors[0].text, text);
        }
    }
}
