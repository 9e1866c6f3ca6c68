//! The settings of population based training, in the words of Katib's service.

use crate::algorithms::random;
use crate::{Kind, Refusal, Setting, Settings};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "n_population",
        kind: Kind::Judged {
            word: "int",
            refusal: |name, value| match value.trim().parse::<i64>() {
                Ok(5..=MAX_POPULATION) => None,
                Ok(n) if n < 5 => Some("Param(n_population) should be >= 5".to_owned()),
                Ok(_) => Some(format!("Param(n_population) should be <= {MAX_POPULATION}")),
                Err(_) => Some(format!(
                    "failed to validate {name}({value}): not a whole number"
                )),
            },
        },
        default: "",
        doc: "how many trainings there are, at least 5; required",
    },
    random::RANDOM_STATE,
    Setting {
        name: "resample_probability",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| {
                let text = "Param(resample_probability) should be null to perturb at 0.8 or 1.2, \
                            or be between 0 and 1, inclusive, to resample";
                share(name, value, text)
            },
        },
        default: "",
        doc: "how likely a parameter is drawn anew; without it all are multiplied with 0.8 or 1.2",
    },
    Setting {
        name: "suggestion_trial_dir",
        kind: Kind::Text,
        default: "",
        doc: "the folder in which a trial finds the checkpoint that it continues, and leaves its \
              own; required",
    },
    Setting {
        name: "truncation_threshold",
        kind: Kind::Judged {
            word: "float",
            refusal: |name, value| {
                let text = "Param(truncation_threshold) should be between 0 and 1, inclusive";
                share(name, value, text)
            },
        },
        default: "",
        doc: "share of the population that counts as best, and as worst; required",
    },
];

/// A larger population is a mistake.
const MAX_POPULATION: i64 = 100_000;
const REQUIRED: [&str; 3] = [
    "suggestion_trial_dir",
    "n_population",
    "truncation_threshold",
];

/// The settings that the search goes by.
pub(super) struct Read {
    pub(super) population: usize,
    pub(super) truncation: f64,
    pub(super) resample: Option<f64>,
}

fn share(name: &str, value: &str, refusal: &str) -> Option<String> {
    match value.trim().parse::<f64>() {
        Ok(x) if (0.0..=1.0).contains(&x) => None,
        Ok(_) => Some(refusal.to_owned()),
        Err(_) => Some(format!("failed to validate {name}({value}): not a number")),
    }
}

pub(super) fn read(settings: &Settings) -> Result<Read, Refusal> {
    let missing: Vec<&str> = REQUIRED
        .into_iter()
        .filter(|name| settings.text(name).is_none())
        .collect();
    if !missing.is_empty() {
        let text = format!("Required params missing: {}", missing.join(", "));
        return Err(Refusal(text));
    }
    Ok(Read {
        population: settings.int("n_population").unwrap_or(5) as usize,
        truncation: settings.float("truncation_threshold").unwrap_or_default(),
        resample: settings.float("resample_probability"),
    })
}
