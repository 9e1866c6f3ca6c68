use diwan_api::ParameterSpec;
use diwan_api::nas::GraphConfig;
use diwan_api::parameter::{FeasibleSpace, ParameterType};
use indexmap::IndexMap;

use super::*;
use crate::{State, Trial};

fn parameter(name: &str, type_: ParameterType, space: FeasibleSpace) -> ParameterSpec {
    ParameterSpec {
        name: name.to_owned(),
        parameter_type: Some(type_),
        feasible_space: space,
    }
}

fn list(name: &str, items: &[&str]) -> ParameterSpec {
    let list = items.iter().map(ToString::to_string).collect();
    let space = FeasibleSpace {
        list,
        ..FeasibleSpace::default()
    };
    parameter(name, ParameterType::Categorical, space)
}

fn range(name: &str, type_: ParameterType, (min, max, step): (&str, &str, &str)) -> ParameterSpec {
    let space = FeasibleSpace {
        min: min.to_owned(),
        max: max.to_owned(),
        step: step.to_owned(),
        ..FeasibleSpace::default()
    };
    parameter(name, type_, space)
}

fn config(layers: i32) -> NasConfig {
    let operation = |kind: &str, parameters| Operation {
        operation_type: kind.to_owned(),
        parameters,
    };
    NasConfig {
        graph_config: Some(GraphConfig {
            num_layers: Some(layers),
            input_sizes: vec![32, 32, 3],
            output_sizes: vec![10],
        }),
        operations: vec![
            operation(
                "convolution",
                vec![
                    list("filter_size", &["3", "5"]),
                    list("stride", &["1", "2"]),
                ],
            ),
            operation(
                "reduction",
                vec![
                    list("reduction_type", &["max_pooling"]),
                    range("pool_size", ParameterType::Int, ("2", "3", "1")),
                    range("rate", ParameterType::Double, ("0.5", "1", "0.5")),
                ],
            ),
        ],
    }
}

fn choices(numbers: &[usize], graph: &Graph) -> Vec<Value> {
    let space = graph.space();
    let pairs = space.parameters.iter().zip(numbers);
    pairs
        .map(|(parameter, n)| match parameter.domain {
            Domain::Categorical(_) => Value::Index(*n),
            _ => Value::Int(*n as i64),
        })
        .collect()
}

/// What Katib's service writes, of which this is a recording.
#[test]
fn a_trial_is_told_its_choices_in_the_words_of_katib() {
    let graph = Graph::parse(Some(&config(3))).unwrap();
    assert_eq!(graph.operations(), 8);
    let texts = graph.print(&choices(&[2, 5, 1, 2, 0, 1], &graph));
    assert_eq!(texts[0].name, "architecture");
    assert_eq!(texts[0].value, "[[2], [5, 1], [2, 0, 1]]");
    assert_eq!(texts[1].name, "nn_config");
    assert_eq!(
        texts[1].value,
        "{'num_layers': 3, 'input_sizes': [32, 32, 3], 'output_sizes': [10], 'embedding': \
         {'2': {'opt_id': 2, 'opt_type': 'convolution', 'opt_params': {'filter_size': '5', \
         'stride': '1'}}, '5': {'opt_id': 5, 'opt_type': 'reduction', 'opt_params': \
         {'reduction_type': 'max_pooling', 'pool_size': 2, 'rate': 1.0}}}}"
    );
}

fn trial(architecture: &str) -> Trial {
    Trial {
        name: String::new(),
        values: Vec::new(),
        state: State::Succeeded,
        objective: None,
        labels: IndexMap::new(),
        texts: vec![ParameterAssignment {
            name: ARCHITECTURE.to_owned(),
            value: architecture.to_owned(),
        }],
    }
}

#[test]
fn choices_are_read_back_and_others_are_not() {
    for (layers, numbers) in [(1, &[7][..]), (3, &[0, 7, 1, 3, 0, 1])] {
        let graph = Graph::parse(Some(&config(layers))).unwrap();
        let choices = choices(numbers, &graph);
        let text = graph.print(&choices)[0].value.clone();
        assert_eq!(graph.read(&trial(&text)), Some(choices), "{text}");
    }
    let graph = Graph::parse(Some(&config(2))).unwrap();
    for other in [
        "",
        "[]",
        "[[1]]",
        "[[8], [0, 0]]",
        "[[1], [2, 2]]",
        "[[1], [2]]",
        "[[1], [x, 0]]",
        "[[1], [2, 0], [1, 0, 0]]",
    ] {
        assert_eq!(graph.read(&trial(other)), None, "{other}");
    }
    assert_eq!(graph.read(&trial("[[1],[2,1]]")).map(|c| c.len()), Some(3));
}

#[test]
fn all_that_is_wrong_with_a_graph_is_said_at_once() {
    let refusal = |config: Option<&NasConfig>| Graph::parse(config).unwrap_err().0;
    assert_eq!(
        refusal(None),
        "spec.nasConfig.graphConfig.inputSizes: Missing InputSizes in GraphConfig; \
         spec.nasConfig.graphConfig.outputSizes: Missing OutputSizes in GraphConfig; \
         spec.nasConfig.graphConfig.numLayers: Missing NumLayers in GraphConfig; \
         spec.nasConfig.operations: Missing Operation in NasConfig"
    );
    let mut wrong = config(2);
    wrong.operations[0].operation_type.clear();
    wrong.operations[0].parameters.clear();
    wrong.operations[1].parameters[2]
        .feasible_space
        .step
        .clear();
    assert_eq!(
        refusal(Some(&wrong)),
        "spec.nasConfig.operations[0].operationType: Missing operationType in Operation; \
         spec.nasConfig.operations[0].parameters: Missing ParameterConfigs in Operation; \
         spec.nasConfig.operations[1].parameters[2].feasibleSpace.step: Step parameter should be \
         > 0 in ParameterConfig.feasibleSpace"
    );
    wrong = config(2);
    wrong.operations[1].parameters[1] = range("n", ParameterType::Int, ("1", "90000000", "1"));
    assert!(refusal(Some(&wrong)).contains("are more than 100000"));
}
