//! The tree-structured Parzen estimator over whole points, under the name and with the settings
//! of Katib's Optuna service. See [`super::tpe`].

use super::tpe::{self, Tpe};
use crate::{Algorithm, Kind, Setting, UnknownSettings};

const REFUSED_STARTUP: &str = "n_startup_trials should be greate or equal than zero";
const REFUSED_CANDIDATES: &str = "n_ei_candidates should be greate or equal than zero";
const REFUSED_STATE: &str = "random_state should be greate or equal than zero";

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "multivariate-tpe",
    aliases: &[],
    summary: "models where whole points are good and where they are bad",
    settings: &[
        tpe::GAMMA,
        Setting {
            name: "n_ei_candidates",
            kind: Kind::Int {
                min: 0,
                refusal: REFUSED_CANDIDATES,
            },
            default: tpe::DEFAULT_CANDIDATES,
            doc: "points drawn for each proposal, of which the best is taken",
        },
        Setting {
            name: "n_startup_trials",
            kind: Kind::Int {
                min: 0,
                refusal: REFUSED_STARTUP,
            },
            default: tpe::DEFAULT_STARTUP,
            doc: "trials of an even design before the model is used",
        },
        tpe::PRIOR_WEIGHT,
        Setting {
            name: "random_state",
            kind: Kind::Int {
                min: 0,
                refusal: REFUSED_STATE,
            },
            default: "",
            doc: "seed of all draws; by default made from the experiment's name",
        },
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: tpe::SUPPORTS,
    build: |problem| Ok(Box::new(Tpe::new(problem, "n_ei_candidates", true))),
};
