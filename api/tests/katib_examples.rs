//! Katib's own examples are read, completed and judged as Katib does.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::{fs, path::Path};

use diwan_api::{
    Experiment, SearchSpace,
    defaults::default_experiment,
    validation::{ValidationContext, validate_experiment, warnings},
};

const ALGORITHMS: &[&str] = &["random", "tpe", "darts", "enas", "pbt"];

fn examples() -> Vec<(String, Experiment)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/katib");
    let mut examples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let experiment = serde_saphyr::from_str(&text)
                .unwrap_or_else(|e| panic!("{name} can't be read: {e}"));
            (name, experiment)
        })
        .collect();
    examples.sort_by(|a, b| a.0.cmp(&b.0));
    examples
}

#[test]
fn examples_with_their_defaults_are_valid() {
    let context = ValidationContext {
        algorithms: ALGORITHMS,
        early_stopping: &["medianstop"],
        ..ValidationContext::default()
    };
    let examples = examples();
    assert_eq!(examples.len(), 9);
    for (name, mut experiment) in examples {
        default_experiment(&mut experiment);
        let errors = validate_experiment(&experiment, None, &context)
            .err()
            .unwrap_or_default();
        assert_eq!(errors.to_string(), "[]", "{name}");
        // This one allows more failed trials than trials, which Katib itself refuses.
        let expected: &[&str] = match name.as_str() {
            "simple-pbt" => &[
                "spec.maxFailedTrialCount: 3 is more than spec.maxTrialCount (2): the experiment \
                 does not fail however many trials do",
            ],
            _ => &[],
        };
        assert_eq!(warnings(&experiment), expected, "{name}");
    }
}

#[test]
fn defaults_of_the_examples() {
    for (name, mut experiment) in examples() {
        default_experiment(&mut experiment);
        // The trial's own object is the user's and stays as it is.
        let before = examples().into_iter().find(|(n, _)| *n == name).unwrap().1;
        let template = |e: &Experiment| e.spec.trial_template.clone().unwrap().trial_spec;
        assert_eq!(template(&experiment), template(&before));
        experiment.spec.trial_template.as_mut().unwrap().trial_spec = None;
        insta::assert_yaml_snapshot!(format!("defaults_{name}"), experiment.spec);
    }
}

#[test]
fn search_spaces_of_the_examples() {
    let spaces: Vec<String> = examples()
        .into_iter()
        .filter(|(_, experiment)| !experiment.spec.parameters.is_empty())
        .map(|(name, experiment)| {
            let space = SearchSpace::parse(&experiment.spec.parameters, "spec.parameters").unwrap();
            format!("{name}: {:?}", space.parameters)
        })
        .collect();
    insta::assert_snapshot!(spaces.join("\n"));
}
