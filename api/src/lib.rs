//! The vocabulary of Diwan: Experiment, Suggestion and Trial of `kubeflow.org/v1beta1`, their
//! defaults, validation rules, templates and conditions.
//!
//! Nothing here performs I/O or reads a clock; of kube it uses the types, never a client.

pub mod algorithm;
pub mod condition;
pub mod crd;
pub mod defaults;
pub mod experiment;
pub mod field_error;
pub mod job_condition;
pub mod job_template;
pub mod metadata;
pub mod metrics_collector;
pub mod metrics_filter;
pub mod nas;
pub mod objective;
pub mod observation;
pub mod parameter;
pub mod search_space;
pub mod suggestion;
pub mod template;
pub mod trial;
pub mod trial_template;
pub mod v1alpha3;
pub mod validation;

mod schema;

pub use algorithm::{AlgorithmSetting, AlgorithmSpec, EarlyStoppingSpec};
pub use condition::{Condition, ConditionStatus, Conditions};
pub use experiment::{Experiment, ExperimentSpec, ExperimentStatus, OptimalTrial, ResumePolicy};
pub use field_error::{FieldError, FieldErrors};
pub use metrics_collector::{CollectorKind, MetricsCollectorSpec};
pub use nas::NasConfig;
pub use objective::{MetricStrategy, ObjectiveSpec, ObjectiveType, StrategyKind};
pub use observation::{Metric, MetricLog, Observation};
pub use parameter::{
    Distribution, FeasibleSpace, ParameterAssignment, ParameterSpec, ParameterType,
};
pub use search_space::SearchSpace;
pub use suggestion::{
    Comparison, EarlyStoppingRule, Suggestion, SuggestionSpec, SuggestionStatus, TrialAssignment,
};
pub use trial::{Trial, TrialSpec, TrialStatus};
pub use trial_template::{ConfigMapSource, TrialParameter, TrialTemplate};

/// The API group of the three kinds.
pub const GROUP: &str = "kubeflow.org";
/// The version of the three kinds.
pub const VERSION: &str = "v1beta1";
