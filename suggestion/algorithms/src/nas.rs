//! The graph of an architecture search: what `spec.nasConfig` describes, as a flat space of
//! choices, and what a trial is told of its choices.
//!
//! Every layer has an operation and, for each layer before it, a bit that says whether that
//! layer's output is added to its input. A trial gets two texts: `architecture`, one row for each
//! layer, and `nn_config`, which says what the numbers of the operations stand for. Both are the
//! JSON that Python writes, with `'` for `"`.

mod on_graph;
mod text;

use std::fmt::Write as _;

use diwan_api::nas::Operation;
use diwan_api::search_space::{Domain, Parameter, Scale, Value};
use diwan_api::{NasConfig, ParameterAssignment, SearchSpace};

use crate::Refusal;

pub(crate) use on_graph::on_graph;
pub(crate) use text::{number, quoted};

/// The assignment that holds the choices.
const ARCHITECTURE: &str = "architecture";
/// The assignment that says what they mean.
const NN_CONFIG: &str = "nn_config";
/// Where the graph stands in an experiment.
const PATH: &str = "spec.nasConfig";
/// More operations than this are a mistake: they would be listed one by one.
const MAX_OPERATIONS: u64 = 100_000;
/// More layers than this are a mistake too: their connections grow with the square.
const MAX_LAYERS: i32 = 500;

/// A graph to be filled with operations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Graph {
    /// How many layers there are.
    pub(crate) layers: usize,
    /// What each number of an operation stands for, as it is written into `nn_config`.
    operations: Vec<String>,
    /// The beginning of `nn_config`, which is the same for all trials.
    frame: String,
}

impl Graph {
    /// The graph of an experiment, or all that is wrong with it.
    pub(crate) fn parse(config: Option<&NasConfig>) -> Result<Self, Refusal> {
        let mut errors = Vec::new();
        let missing = |field: &str, what: &str| {
            format!("{PATH}.graphConfig.{field}: Missing {what} in GraphConfig")
        };
        let config = config.cloned().unwrap_or_default();
        let graph = config.graph_config.unwrap_or_default();
        if graph.input_sizes.is_empty() {
            errors.push(missing("inputSizes", "InputSizes"));
        }
        if graph.output_sizes.is_empty() {
            errors.push(missing("outputSizes", "OutputSizes"));
        }
        let layers = graph.num_layers.unwrap_or_default();
        if layers == 0 {
            errors.push(missing("numLayers", "NumLayers"));
        } else if !(1..=MAX_LAYERS).contains(&layers) {
            errors.push(format!(
                "{PATH}.graphConfig.numLayers: {layers} should be from 1 to {MAX_LAYERS}"
            ));
        }
        let spaces = operations(&config.operations, &mut errors);
        refuse(errors)?;
        let mut listed = Vec::new();
        for (operation, space) in config.operations.iter().zip(spaces) {
            describe(operation, &space, &mut listed);
        }
        Ok(Self {
            layers: usize::try_from(layers).unwrap_or_default(),
            operations: listed,
            frame: format!(
                "{{'num_layers': {layers}, 'input_sizes': {:?}, 'output_sizes': {:?}, 'embedding': {{",
                graph.input_sizes, graph.output_sizes
            ),
        })
    }

    /// How many operations there are to choose from.
    pub(crate) fn operations(&self) -> usize {
        self.operations.len()
    }

    /// All choices as one flat space: layer by layer the operation, then a bit for every layer
    /// before.
    pub(crate) fn space(&self) -> SearchSpace {
        let ids: Vec<String> = (0..self.operations()).map(|id| id.to_string()).collect();
        let bit = Domain::Int {
            min: 0,
            max: 1,
            step: 1,
            scale: Scale::Uniform,
        };
        let mut parameters = Vec::new();
        for layer in 0..self.layers {
            parameters.push(Parameter {
                name: format!("layer{layer}"),
                domain: Domain::Categorical(ids.clone()),
            });
            parameters.extend((0..layer).map(|from| Parameter {
                name: format!("skip{from}to{layer}"),
                domain: bit.clone(),
            }));
        }
        SearchSpace { parameters }
    }

    /// What a trial is told of its choices.
    pub(crate) fn print(&self, choices: &[Value]) -> Vec<ParameterAssignment> {
        let numbers: Vec<usize> = choices.iter().map(|value| number_of(*value)).collect();
        let mut rest = &numbers[..];
        let mut rows = Vec::new();
        for layer in 0..self.layers {
            let (row, after) = rest.split_at((layer + 1).min(rest.len()));
            rows.push(row);
            rest = after;
        }
        let mut used: Vec<usize> = Vec::new();
        for id in rows.iter().filter_map(|row| row.first()) {
            if !used.contains(id) {
                used.push(*id);
            }
        }
        let embedding: Vec<String> = used
            .iter()
            .map(|id| format!("'{id}': {}", self.operations[*id]))
            .collect();
        let assignment = |name: &str, value: String| ParameterAssignment {
            name: name.to_owned(),
            value,
        };
        vec![
            assignment(ARCHITECTURE, format!("{rows:?}")),
            assignment(
                NN_CONFIG,
                format!("{}{}}}}}", self.frame, embedding.join(", ")),
            ),
        ]
    }

    /// The choices of a trial; `None` when they are not of this graph.
    pub(crate) fn read(&self, trial: &crate::Trial) -> Option<Vec<Value>> {
        let text = trial.text(ARCHITECTURE)?;
        let mut choices = Vec::new();
        let rows = text.trim().strip_prefix('[')?.strip_suffix(']')?;
        let mut count = 0;
        for (layer, row) in rows.split(']').enumerate() {
            let row = row.trim_matches([',', ' ', '[']);
            if row.is_empty() {
                continue;
            }
            let numbers: Option<Vec<usize>> =
                row.split(',').map(|n| n.trim().parse().ok()).collect();
            let numbers = numbers.filter(|numbers| numbers.len() == layer + 1)?;
            let (id, bits) = numbers.split_first()?;
            if *id >= self.operations() || bits.iter().any(|bit| *bit > 1) {
                return None;
            }
            choices.push(Value::Index(*id));
            choices.extend(bits.iter().map(|bit| Value::Int(*bit as i64)));
            count += 1;
        }
        (count == self.layers).then_some(choices)
    }
}

/// The number that stands for a choice.
pub(crate) fn number_of(value: Value) -> usize {
    match value {
        Value::Index(index) => index,
        Value::Int(n) => usize::try_from(n).unwrap_or_default(),
        Value::Double(_) => 0,
    }
}

/// The parameters of each operation, with what is wrong with them.
pub(crate) fn operations(list: &[Operation], errors: &mut Vec<String>) -> Vec<SearchSpace> {
    let mut spaces = Vec::new();
    let mut count: u64 = 0;
    if list.is_empty() {
        errors.push(format!("{PATH}.operations: Missing Operation in NasConfig"));
    }
    for (index, operation) in list.iter().enumerate() {
        let path = format!("{PATH}.operations[{index}]");
        if operation.operation_type.is_empty() {
            errors.push(format!(
                "{path}.operationType: Missing operationType in Operation"
            ));
        }
        if operation.parameters.is_empty() {
            errors.push(format!(
                "{path}.parameters: Missing ParameterConfigs in Operation"
            ));
        }
        match SearchSpace::parse(&operation.parameters, &format!("{path}.parameters")) {
            Err(found) => errors.extend(found.0.iter().map(ToString::to_string)),
            Ok(space) => {
                for (place, parameter) in space.parameters.iter().enumerate() {
                    if parameter.domain.cardinality().is_none() {
                        errors.push(format!(
                            "{path}.parameters[{place}].feasibleSpace.step: Step parameter should \
                             be > 0 in ParameterConfig.feasibleSpace"
                        ));
                    }
                }
                count = count.saturating_add(space.cardinality().unwrap_or_default());
                spaces.push(space);
            }
        }
    }
    if count > MAX_OPERATIONS {
        errors.push(format!(
            "{PATH}.operations: {count} operations are more than {MAX_OPERATIONS}; give their \
             parameters fewer values"
        ));
    }
    spaces
}

/// Refuses with all errors, if there are any.
pub(crate) fn refuse(errors: Vec<String>) -> Result<(), Refusal> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Refusal(errors.join("; ")))
}

/// Adds the description of every combination of an operation's parameters, the last parameter
/// changing fastest.
fn describe(operation: &Operation, space: &SearchSpace, listed: &mut Vec<String>) {
    for code in 0..space.cardinality().unwrap_or_default() {
        let mut rest = code;
        let mut parts = Vec::new();
        for parameter in space.parameters.iter().rev() {
            let count = parameter.domain.cardinality().unwrap_or(1);
            let value = parameter.domain.value_at(rest % count);
            rest /= count;
            let name = quoted(&parameter.name);
            let text = value.map_or_else(String::new, |v| python(&parameter.domain, v));
            parts.push(format!("{name}: {text}"));
        }
        parts.reverse();
        let mut text = String::new();
        let _ = write!(
            text,
            "{{'opt_id': {}, 'opt_type': {}, 'opt_params': {{{}}}}}",
            listed.len(),
            quoted(&operation.operation_type),
            parts.join(", ")
        );
        listed.push(text);
    }
}

/// A value as Python's JSON writes it: the items of lists are texts.
fn python(domain: &Domain, value: Value) -> String {
    match value {
        Value::Double(x) => number(x),
        Value::Int(n) => n.to_string(),
        Value::Index(_) => quoted(&domain.print(value).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
