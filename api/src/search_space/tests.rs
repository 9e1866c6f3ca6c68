use pretty_assertions::assert_eq;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Domain, Scale, SearchSpace, Value};
use crate::{Distribution, FeasibleSpace, ParameterSpec, ParameterType};

fn range(type_: ParameterType, min: &str, max: &str, step: &str) -> ParameterSpec {
    ParameterSpec {
        name: "p".into(),
        parameter_type: Some(type_),
        feasible_space: FeasibleSpace {
            min: min.into(),
            max: max.into(),
            step: step.into(),
            ..FeasibleSpace::default()
        },
    }
}

fn list(type_: ParameterType, items: &[&str]) -> ParameterSpec {
    ParameterSpec {
        name: "p".into(),
        parameter_type: Some(type_),
        feasible_space: FeasibleSpace {
            list: items.iter().map(|&s| s.to_owned()).collect(),
            ..FeasibleSpace::default()
        },
    }
}

fn log(mut spec: ParameterSpec) -> ParameterSpec {
    spec.feasible_space.distribution = Some(Distribution::LogUniform);
    spec
}

#[track_caller]
fn domain(spec: ParameterSpec) -> Domain {
    SearchSpace::parse(&[spec], "spec.parameters")
        .unwrap()
        .parameters
        .remove(0)
        .domain
}

#[track_caller]
fn errors(specs: &[ParameterSpec]) -> Vec<String> {
    let errors = SearchSpace::parse(specs, "spec.parameters").unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn types_what_the_user_wrote() {
    use ParameterType::{Categorical, Discrete, Double, Int};
    let scale = Scale::Uniform;
    assert_eq!(
        domain(range(Double, "1e-5", "0.1", "")),
        Domain::Double {
            min: 1e-5,
            max: 0.1,
            step: None,
            scale
        }
    );
    assert_eq!(
        domain(log(range(Int, "1", "9", "2"))),
        Domain::Int {
            min: 1,
            max: 9,
            step: 2,
            scale: Scale::LogUniform
        }
    );
    assert_eq!(
        domain(range(Int, "-3", "9", "")),
        Domain::Int {
            min: -3,
            max: 9,
            step: 1,
            scale
        }
    );
    assert_eq!(
        domain(list(Discrete, &["1e-3", "2"])),
        Domain::Discrete(vec![(0.001, "1e-3".into()), (2.0, "2".into())])
    );
    assert_eq!(
        domain(list(Categorical, &["", "b"])),
        Domain::Categorical(vec![String::new(), "b".into()])
    );
}

#[test]
fn names_what_is_wrong_with_one_parameter() {
    use ParameterType::{Categorical, Discrete, Double, Int, Other, Unknown};
    let f = "spec.parameters[0].feasibleSpace";
    let cases = [
        (range(Double, "a", "nan", ""), vec![
            format!("{f}.min: Invalid value: \"a\": must be a finite number"),
            format!("{f}.max: Invalid value: nan: must be a finite number"),
        ]),
        (range(Double, "", "1", "0"), vec![
            format!("{f}.min: Required value: must be specified for parameterType double and int"),
            format!("{f}.step: Invalid value: 0: must be greater than 0"),
        ]),
        (range(Double, "2", "1", ""), vec![
            format!("{f}.min: Invalid value: 2: must be less than max (1)"),
        ]),
        (range(Double, "1", "1", ""), vec![
            format!("{f}.min: Invalid value: 1: must be less than max (1)"),
        ]),
        (range(Double, "-1e308", "1e308", ""), vec![
            format!("{f}.max: Invalid value: 1e308: the distance from min must be a finite number"),
        ]),
        (log(range(Double, "0", "1", "")), vec![
            format!("{f}.min: Invalid value: 0: must be greater than 0 for a logarithmic distribution"),
        ]),
        (range(Int, "0.5", "3", "-1"), vec![
            format!("{f}.min: Invalid value: 0.5: must be a whole number"),
            format!("{f}.step: Invalid value: -1: must be greater than 0"),
        ]),
        (log(range(Int, "0", "3", "")), vec![
            format!("{f}.min: Invalid value: 0: must be greater than 0 for a logarithmic distribution"),
        ]),
        (list(Categorical, &[]), vec![
            format!("{f}.list: Required value: must be specified for parameterType discrete and categorical"),
        ]),
        (list(Categorical, &["a", "b", "a"]), vec![format!("{f}.list[2]: Duplicate value: \"a\"")]),
        (list(Discrete, &["1", "1.0", "x", "inf"]), vec![
            format!("{f}.list[1]: Duplicate value: 1.0"),
            format!("{f}.list[2]: Invalid value: \"x\": must be a finite number"),
            format!("{f}.list[3]: Invalid value: inf: must be a finite number"),
        ]),
        (list(Double, &["1"]), vec![
            format!("{f}.list: Forbidden: is not supported for parameterType double and int"),
            format!("{f}.min: Required value: must be specified for parameterType double and int"),
            format!("{f}.max: Required value: must be specified for parameterType double and int"),
        ]),
        (range(Categorical, "1", "", ""), vec![
            format!("{f}.min: Forbidden: is not supported for parameterType discrete and categorical"),
            format!("{f}.list: Required value: must be specified for parameterType discrete and categorical"),
        ]),
        (range(Unknown, "1", "2", ""), vec![
            "spec.parameters[0].parameterType: Unsupported value: \"unknown\": supported values: \"double\", \"int\", \"discrete\", \"categorical\"".into(),
        ]),
        (range(Other("float".into()), "1", "2", ""), vec![
            "spec.parameters[0].parameterType: Unsupported value: \"float\": supported values: \"double\", \"int\", \"discrete\", \"categorical\"".into(),
        ]),
    ];
    for (spec, expected) in cases {
        assert_eq!(errors(std::slice::from_ref(&spec)), expected, "{spec:?}");
    }
}

#[test]
fn names_what_is_wrong_with_several() {
    let good = range(ParameterType::Int, "1", "2", "");
    let mut nameless = good.clone();
    nameless.name.clear();
    nameless.feasible_space.distribution = Some(Distribution::Other("gamma".into()));
    let mut typeless = good.clone();
    typeless.parameter_type = None;
    assert_eq!(
        errors(&[good, nameless, typeless]),
        [
            "spec.parameters[1].name: Required value: must be specified",
            "spec.parameters[1].feasibleSpace.distribution: Unsupported value: \"gamma\": supported \
         values: \"uniform\", \"logUniform\", \"normal\", \"logNormal\", \"unknown\"",
            "spec.parameters[2].name: Duplicate value: \"p\"",
            "spec.parameters[2].parameterType: Required value: must be specified",
        ]
    );
}

#[test]
fn prints_without_exponent() {
    let double = domain(range(ParameterType::Double, "-1", "1", ""));
    for (x, text) in [
        (1e-5, "0.00001"),
        (0.1, "0.1"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
    ] {
        assert_eq!(double.print(Value::Double(x)).unwrap(), text);
    }
    assert_eq!(double.print(Value::Int(1)), None);
}

#[test]
fn steps_are_anchored_at_min() {
    let grid = |spec| {
        let d = domain(spec);
        let count = d.cardinality().unwrap();
        assert_eq!(d.value_at(count), None);
        (0..count)
            .map(|i| d.print(d.value_at(i).unwrap()).unwrap())
            .collect::<Vec<_>>()
    };
    use ParameterType::{Categorical, Discrete, Double, Int};
    assert_eq!(
        grid(range(Double, "0", "0.3", "0.1")),
        ["0", "0.1", "0.2", "0.3"]
    );
    assert_eq!(
        grid(range(Double, "0.05", "0.3", "0.1")),
        ["0.05", "0.15", "0.25"]
    );
    assert_eq!(grid(range(Double, "0", "1", "5")), ["0"]);
    assert_eq!(grid(range(Int, "1", "8", "3")), ["1", "4", "7"]);
    assert_eq!(grid(list(Discrete, &["3", "1.50"])), ["3", "1.50"]);
    assert_eq!(grid(list(Categorical, &["b", "a"])), ["b", "a"]);
    assert_eq!(domain(range(Double, "0", "1", "")).cardinality(), None);
    let all = format!("{}", i64::MAX);
    assert_eq!(
        domain(range(Int, "0", &all, "")).cardinality(),
        Some(1 << 63)
    );
}

#[test]
fn reads_assignments_back() {
    let int = domain(range(ParameterType::Int, "0", "10", ""));
    assert_eq!(int.parse_value("5.0"), Some(Value::Int(5)));
    assert_eq!(int.parse_value("5.5"), None);
    assert_eq!(int.parse_value("11"), None);
    let double = domain(range(ParameterType::Double, "0", "1", ""));
    assert_eq!(double.parse_value("1e-05"), Some(Value::Double(1e-5)));
    assert_eq!(double.parse_value("NaN"), None);
    let discrete = domain(list(ParameterType::Discrete, &["0.10", "2"]));
    assert_eq!(discrete.parse_value("0.1"), Some(Value::Index(0)));
    assert_eq!(discrete.parse_value("3"), None);
    let categorical = domain(list(ParameterType::Categorical, &["a", "b"]));
    assert_eq!(categorical.parse_value("b"), Some(Value::Index(1)));
    assert_eq!(categorical.parse_value("c"), None);
}

#[test]
fn snaps_to_the_nearest_step() {
    let double = domain(range(ParameterType::Double, "0.5", "1", "0.2"));
    for (x, snapped) in [(0.0, 0.5), (0.61, 0.7), (0.95, 0.9), (7.0, 0.9)] {
        assert_eq!(double.snap(Value::Double(x)), Value::Double(snapped));
    }
    let int = domain(range(ParameterType::Int, "1", "10", "4"));
    for (n, snapped) in [(-5, 1), (2, 1), (3, 5), (10, 9), (99, 9)] {
        assert_eq!(int.snap(Value::Int(n)), Value::Int(snapped));
    }
}

fn any_domain() -> impl Strategy<Value = Domain> {
    let scale = Scale::Uniform;
    prop_oneof![
        (-1e6..1e6, 1e-3..1e6, 1e-2..1e5_f64).prop_map(
            move |(min, width, step): (f64, f64, f64)| {
                Domain::Double {
                    min,
                    max: min + width,
                    step: Some(step),
                    scale,
                }
            }
        ),
        (any::<i64>(), any::<i64>(), 1..i64::MAX).prop_map(move |(a, b, step)| {
            Domain::Int {
                min: a.min(b),
                max: a.max(b),
                step,
                scale,
            }
        }),
        (1..20_usize)
            .prop_map(|n| Domain::Discrete((0..n).map(|i| (i as f64, format!("{i}.0"))).collect())),
        (1..20_usize).prop_map(|n| Domain::Categorical((0..n).map(|i| format!("c{i}")).collect())),
    ]
}

proptest! {
    #[test]
    fn every_grid_value_is_inside_and_reads_back(domain in any_domain(), pick in any::<u64>()) {
        if let Some(count) = domain.cardinality() {
            for index in [0, pick % count, count - 1] {
                let value = domain.value_at(index).unwrap();
                let text = domain.print(value).unwrap();
                prop_assert_eq!(domain.parse_value(&text), Some(value));
                prop_assert_eq!(domain.snap(value), value);
            }
            prop_assert!(domain.value_at(count).is_none());
        }
    }

    #[test]
    fn every_double_prints_and_reads_back(x in any::<f64>().prop_filter("finite", |x| x.is_finite())) {
        let domain = Domain::Double { min: f64::MIN, max: f64::MAX, step: None, scale: Scale::Uniform };
        let text = domain.print(Value::Double(x)).unwrap();
        prop_assert!(!text.contains(['e', 'E']));
        prop_assert_eq!(domain.parse_value(&text), Some(Value::Double(x)));
    }
}
