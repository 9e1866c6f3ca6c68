//! Settings: what a row says about them, and the check of what a user gives.

use diwan_api::AlgorithmSetting;

use crate::{Algorithm, UnknownSettings};

/// One setting of an algorithm.
#[derive(Debug)]
pub struct Setting {
    /// Name in `algorithmSettings`.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// The value when it is not given; empty where that is decided by the algorithm.
    pub default: &'static str,
    /// One line for listings.
    pub doc: &'static str,
}

/// What the values of a setting are. The text of a bound is what a user reads who crosses it.
#[derive(Debug)]
pub enum Kind {
    /// A number strictly between two bounds.
    Float {
        /// Exclusive lower bound.
        above: f64,
        /// Exclusive upper bound.
        below: f64,
        /// Says which values are right.
        refusal: &'static str,
    },
    /// A whole number.
    Int {
        /// Smallest value.
        min: i64,
        /// Says which values are right.
        refusal: &'static str,
    },
    /// A number above zero; anything else is refused in the same words.
    Positive {
        /// Says which values are right.
        refusal: &'static str,
    },
    /// `true` or `false`.
    Bool,
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words; others are refused as not supported by something.
    Supported {
        /// The words.
        words: &'static [&'static str],
        /// What supports them, as users read it.
        by: &'static str,
    },
    /// What a function takes, which says what is wrong with the value of a setting of this name.
    Judged {
        /// The word for it in listings.
        word: &'static str,
        /// Judges a name and a value.
        refusal: fn(&str, &str) -> Option<String>,
    },
}

/// What is wrong with one of the settings that a user gave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SettingError {
    /// Which of the given settings.
    pub index: usize,
    /// Whether the setting, not its value, is wrong.
    pub unknown: bool,
    /// What is wrong, in the words that Katib's services use.
    pub text: String,
}

/// Checked settings of one algorithm, with defaults for those that were not given.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    given: Vec<(&'static str, String)>,
    /// What the user wrote, settings that are passed over among it.
    raw: Vec<AlgorithmSetting>,
    /// What an algorithm returned earlier, by name.
    memory: Vec<AlgorithmSetting>,
}

impl Kind {
    /// The word for it in listings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Float { .. } | Self::Positive { .. } => "float",
            Self::Int { .. } => "int",
            Self::Bool => "bool",
            Self::Choice(_) | Self::Supported { .. } => "choice",
            Self::Text => "text",
            Self::Judged { word, .. } => word,
        }
    }

    /// What is wrong with `value` as a value of the setting `name`.
    fn refusal(&self, name: &str, value: &str) -> Option<String> {
        let failed = |why: &str| Some(format!("failed to validate {name}({value}): {why}"));
        match self {
            Self::Float {
                above,
                below,
                refusal,
            } => match value.trim().parse::<f64>() {
                Ok(x) if x > *above && x < *below => None,
                Ok(_) => Some((*refusal).to_owned()),
                Err(_) => failed("not a number"),
            },
            Self::Int { min, refusal } => match value.trim().parse::<i64>() {
                Ok(n) if n >= *min => None,
                Ok(_) => Some((*refusal).to_owned()),
                Err(_) => failed("not a whole number"),
            },
            Self::Positive { refusal } => match value.trim().parse::<f64>() {
                Ok(x) if x > 0.0 && x < f64::INFINITY => None,
                _ => Some((*refusal).to_owned()),
            },
            Self::Text => None,
            Self::Judged { refusal, .. } => refusal(name, value),
            Self::Bool => match truth(value) {
                Some(_) => None,
                None => failed("neither true nor false"),
            },
            Self::Choice(words) if words.contains(&value) => None,
            Self::Supported { words, .. } if words.contains(&value) => None,
            Self::Supported { by, .. } => Some(format!("{name} {value} is not supported in {by}")),
            Self::Choice(words) => failed(&format!("not one of {}", words.join(", "))),
        }
    }
}

impl Settings {
    /// Checks what a user gave for `algorithm` and reports everything that is wrong. A setting
    /// that is given twice has its last value. One whose name begins with the name of an
    /// algorithm and a dot is no user's: it is what that algorithm returned to be reminded of.
    pub fn parse(
        algorithm: &Algorithm,
        given: &[AlgorithmSetting],
    ) -> Result<Self, Vec<SettingError>> {
        let ignores_unknown = algorithm.unknown_settings != UnknownSettings::Refused;
        Self::parse_rows(algorithm.name, algorithm.settings, ignores_unknown, given)
    }

    /// Checks settings against the rows of the algorithm `owner`, as [`Settings::parse`] does.
    pub(crate) fn parse_rows(
        owner: &str,
        rows: &'static [Setting],
        ignores_unknown: bool,
        given: &[AlgorithmSetting],
    ) -> Result<Self, Vec<SettingError>> {
        let mut values: Vec<_> = rows
            .iter()
            .map(|s| (s.name, s.default.to_owned()))
            .collect();
        let mut errors = Vec::new();
        let (mut memory, mut raw) = (Vec::new(), Vec::new());
        for (index, setting) in given.iter().enumerate() {
            if is_memory(&setting.name) {
                memory.push(setting.clone());
                continue;
            }
            raw.push(setting.clone());
            let Some(row) = rows.iter().position(|s| s.name == setting.name) else {
                if !ignores_unknown {
                    let text = unknown(owner, &setting.name);
                    errors.push(SettingError {
                        index,
                        unknown: true,
                        text,
                    });
                }
                continue;
            };
            match rows[row].kind.refusal(&setting.name, &setting.value) {
                Some(text) => errors.push(SettingError {
                    index,
                    unknown: false,
                    text,
                }),
                None => setting.value.trim().clone_into(&mut values[row].1),
            }
        }
        if errors.is_empty() {
            Ok(Self {
                given: values,
                raw,
                memory,
            })
        } else {
            Err(errors)
        }
    }

    /// The number of a setting; `None` when it is not given and has no default.
    pub fn float(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// The whole number of a setting; `None` when it is not given and has no default.
    pub fn int(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a setting is true; `None` when it is not given and has no default.
    pub fn bool(&self, name: &str) -> Option<bool> {
        truth(self.text(name)?)
    }

    /// What an algorithm returned under this name with the last answer.
    pub fn memory(&self, name: &str) -> Option<&str> {
        let found = self.memory.iter().rev().find(|s| s.name == name);
        found.map(|s| s.value.as_str())
    }

    /// All that algorithms returned earlier, to be handed on.
    pub fn memories(&self) -> &[AlgorithmSetting] {
        &self.memory
    }

    /// What the user wrote, in that order, settings that the algorithm passes over among it.
    pub fn raw(&self) -> &[AlgorithmSetting] {
        &self.raw
    }

    /// The text of a setting; `None` when it is not given and has no default.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self
            .given
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.as_str())?;
        (!value.is_empty()).then_some(value)
    }
}

/// What is said of a setting that an algorithm does not have.
fn unknown(owner: &str, name: &str) -> String {
    // Katib's service for it has words of its own.
    if owner == "enas" {
        return format!("Unknown Algorithm Setting name: {name}");
    }
    format!("unknown setting {name} for algorithm {owner}")
}

fn is_memory(name: &str) -> bool {
    name.split_once('.')
        .is_some_and(|(algorithm, _)| crate::find(algorithm).is_some())
}

fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" => Some(true),
        "false" | "False" => Some(false),
        _ => None,
    }
}
