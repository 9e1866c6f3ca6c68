//! Experiments and their parts.

use diwan_api::{
    AlgorithmSpec, Experiment, ExperimentSpec, MetricStrategy, NasConfig, ObjectiveSpec,
    ObjectiveType, StrategyKind,
    nas::{GraphConfig, Operation},
};
use kube::ResourceExt;

use super::each;
use crate::v1beta1 as message;

impl From<&Experiment> for message::Experiment {
    fn from(experiment: &Experiment) -> Self {
        Self {
            name: experiment.name_any(),
            spec: Some((&experiment.spec).into()),
        }
    }
}

impl From<&ExperimentSpec> for message::ExperimentSpec {
    fn from(spec: &ExperimentSpec) -> Self {
        let parameters = each(&spec.parameters);
        Self {
            parameter_specs: Some(message::experiment_spec::ParameterSpecs { parameters }),
            objective: spec.objective.as_ref().map(Into::into),
            algorithm: spec.algorithm.as_ref().map(Into::into),
            early_stopping: spec.early_stopping.as_ref().map(Into::into),
            parallel_trial_count: spec.parallel_trial_count.unwrap_or_default(),
            max_trial_count: spec.max_trial_count.unwrap_or_default(),
            nas_config: spec.nas_config.as_ref().map(Into::into),
        }
    }
}

impl From<message::Experiment> for Experiment {
    fn from(experiment: message::Experiment) -> Self {
        Self::new(&experiment.name, experiment.spec.unwrap_or_default().into())
    }
}

impl From<message::ExperimentSpec> for ExperimentSpec {
    fn from(spec: message::ExperimentSpec) -> Self {
        let set = |count: i32| Some(count).filter(|n| *n != 0);
        Self {
            parameters: each(spec.parameter_specs.unwrap_or_default().parameters),
            objective: spec.objective.map(Into::into),
            algorithm: spec.algorithm.map(Into::into),
            early_stopping: spec.early_stopping.map(Into::into),
            parallel_trial_count: set(spec.parallel_trial_count),
            max_trial_count: set(spec.max_trial_count),
            nas_config: spec.nas_config.map(Into::into),
            ..Self::default()
        }
    }
}

impl From<&ObjectiveSpec> for message::ObjectiveSpec {
    fn from(objective: &ObjectiveSpec) -> Self {
        let type_ = match objective.type_ {
            Some(ObjectiveType::Minimize) => message::ObjectiveType::Minimize,
            Some(ObjectiveType::Maximize) => message::ObjectiveType::Maximize,
            Some(ObjectiveType::Other(_)) | None => message::ObjectiveType::Unknown,
        };
        Self {
            r#type: type_.into(),
            goal: objective.goal.unwrap_or_default(),
            objective_metric_name: objective.objective_metric_name.clone(),
            additional_metric_names: objective.additional_metric_names.clone(),
        }
    }
}

impl From<message::ObjectiveSpec> for ObjectiveSpec {
    /// A message has one value for each metric, so every strategy is `latest`.
    fn from(message: message::ObjectiveSpec) -> Self {
        let type_ = match message.r#type() {
            message::ObjectiveType::Minimize => Some(ObjectiveType::Minimize),
            message::ObjectiveType::Maximize => Some(ObjectiveType::Maximize),
            message::ObjectiveType::Unknown => None,
        };
        let mut objective = Self {
            type_,
            goal: Some(message.goal).filter(|goal| *goal != 0.0),
            objective_metric_name: message.objective_metric_name,
            additional_metric_names: message.additional_metric_names,
            metric_strategies: Vec::new(),
        };
        objective.metric_strategies = objective
            .metric_names()
            .map(|name| MetricStrategy {
                name: name.to_owned(),
                value: StrategyKind::Latest,
            })
            .collect();
        objective
    }
}

impl From<&AlgorithmSpec> for message::AlgorithmSpec {
    fn from(spec: &AlgorithmSpec) -> Self {
        Self {
            algorithm_name: spec.algorithm_name.clone(),
            algorithm_settings: each(spec.algorithm_settings.iter().cloned()),
        }
    }
}

impl From<message::AlgorithmSpec> for AlgorithmSpec {
    fn from(spec: message::AlgorithmSpec) -> Self {
        Self {
            algorithm_name: spec.algorithm_name,
            algorithm_settings: each(spec.algorithm_settings),
        }
    }
}

impl From<&AlgorithmSpec> for message::EarlyStoppingSpec {
    fn from(spec: &AlgorithmSpec) -> Self {
        Self {
            algorithm_name: spec.algorithm_name.clone(),
            algorithm_settings: each(spec.algorithm_settings.iter().cloned()),
        }
    }
}

impl From<message::EarlyStoppingSpec> for AlgorithmSpec {
    fn from(spec: message::EarlyStoppingSpec) -> Self {
        Self {
            algorithm_name: spec.algorithm_name,
            algorithm_settings: each(spec.algorithm_settings),
        }
    }
}

impl From<&NasConfig> for message::NasConfig {
    fn from(config: &NasConfig) -> Self {
        let graph = |graph: &GraphConfig| message::GraphConfig {
            num_layers: graph.num_layers.unwrap_or_default(),
            input_sizes: graph.input_sizes.clone(),
            output_sizes: graph.output_sizes.clone(),
        };
        let operation = |operation: &Operation| message::Operation {
            operation_type: operation.operation_type.clone(),
            parameter_specs: Some(message::operation::ParameterSpecs {
                parameters: each(&operation.parameters),
            }),
        };
        Self {
            graph_config: config.graph_config.as_ref().map(graph),
            operations: Some(message::nas_config::Operations {
                operation: config.operations.iter().map(operation).collect(),
            }),
        }
    }
}

impl From<message::NasConfig> for NasConfig {
    fn from(config: message::NasConfig) -> Self {
        let graph = |graph: message::GraphConfig| GraphConfig {
            num_layers: Some(graph.num_layers).filter(|n| *n != 0),
            input_sizes: graph.input_sizes,
            output_sizes: graph.output_sizes,
        };
        let operation = |operation: message::Operation| Operation {
            operation_type: operation.operation_type,
            parameters: each(operation.parameter_specs.unwrap_or_default().parameters),
        };
        let operations = config.operations.unwrap_or_default().operation;
        Self {
            graph_config: config.graph_config.map(graph),
            operations: operations.into_iter().map(operation).collect(),
        }
    }
}
