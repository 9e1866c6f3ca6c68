//! What a trial of `darts` is told.

use serde::Deserialize;
use serde_json::Value;

use crate::flag;

/// The settings of a search, by Katib's names. Texts and numbers are both taken; null, and a setting
/// that is not there, stand for the default. Others are passed over.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "std::collections::BTreeMap<String, Value>")]
pub struct Settings {
    /// How often all images are gone through.
    pub num_epochs: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// Channels of the first cell.
    pub init_channels: usize,
    /// Nodes of a cell.
    pub num_nodes: usize,
    /// Channels of the stem, in parts of `init_channels`.
    pub stem_multiplier: usize,
    /// Learning rate of the network's weights.
    pub w_lr: f64,
    /// The same at the end.
    pub w_lr_min: f64,
    /// Momentum of the network's weights.
    pub w_momentum: f64,
    /// Decay of the network's weights.
    pub w_weight_decay: f64,
    /// Longest gradient of the network's weights.
    pub w_grad_clip: f64,
    /// Learning rate of the architecture.
    pub alpha_lr: f64,
    /// Decay of the architecture's weights.
    pub alpha_weight_decay: f64,
    /// What is wrong with them.
    errors: Vec<String>,
}

impl From<std::collections::BTreeMap<String, Value>> for Settings {
    fn from(given: std::collections::BTreeMap<String, Value>) -> Self {
        let mut errors = Vec::new();
        let mut real = |name: &str, default: f64| {
            let text = match given.get(name) {
                None | Some(Value::Null) => return default,
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            };
            let number = text
                .trim()
                .parse()
                .ok()
                .filter(|x: &f64| x.is_finite() && *x >= 0.0);
            number.unwrap_or_else(|| {
                errors.push(format!("{name} {text}: must be a number of at least 0"));
                default
            })
        };
        let (w_lr, w_lr_min) = (real("w_lr", 0.025), real("w_lr_min", 0.001));
        let w_momentum = real("w_momentum", 0.9);
        let w_weight_decay = real("w_weight_decay", 3e-4);
        let w_grad_clip = real("w_grad_clip", 5.0);
        let (alpha_lr, alpha_weight_decay) =
            (real("alpha_lr", 3e-4), real("alpha_weight_decay", 1e-3));
        let counts = [
            ("num_epochs", 50.0),
            ("batch_size", 128.0),
            ("init_channels", 16.0),
            ("num_nodes", 4.0),
            ("stem_multiplier", 3.0),
        ]
        .map(|(name, default)| (name, real(name, default)));
        for (name, count) in counts {
            if count < 1.0 || count.fract() != 0.0 {
                errors.push(format!(
                    "{name} {count}: must be a whole number of at least 1"
                ));
            }
        }
        let [
            num_epochs,
            batch_size,
            init_channels,
            num_nodes,
            stem_multiplier,
        ] = counts.map(|(_, count)| count as usize);
        Self {
            num_epochs,
            batch_size,
            init_channels,
            num_nodes,
            stem_multiplier,
            w_lr,
            w_lr_min,
            w_momentum,
            w_weight_decay,
            w_grad_clip,
            alpha_lr,
            alpha_weight_decay,
            errors,
        }
    }
}

impl Settings {
    /// Reads the settings from a flag.
    ///
    /// # Errors
    /// All that is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let settings: Self = flag::json(text)?;
        match &settings.errors[..] {
            [] => Ok(settings),
            errors => Err(errors.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_and_nothing_are_taken() {
        let text = "{'num_epochs': '3', 'w_lr': 0.1, 'batch_size': null, 'colour': 'red'}";
        let settings = Settings::parse(text).unwrap();
        assert_eq!((settings.num_epochs, settings.batch_size), (3, 128));
        assert_eq!((settings.w_lr, settings.alpha_lr), (0.1, 3e-4));
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let text = "{'num_epochs': '0', 'w_lr': 'fast', 'num_nodes': 1.5}";
        let error = Settings::parse(text).unwrap_err();
        assert_eq!(
            error,
            "w_lr fast: must be a number of at least 0; \
             num_epochs 0: must be a whole number of at least 1; \
             num_nodes 1.5: must be a whole number of at least 1"
        );
    }
}
