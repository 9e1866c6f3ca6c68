//! From what the user wrote to typed domains, with every error named.

use std::collections::HashSet;

use super::{Domain, Parameter, Scale, SearchSpace};
use crate::{Distribution, FeasibleSpace, FieldError, FieldErrors, ParameterSpec, ParameterType};

const TYPES: [&str; 4] = ["double", "int", "discrete", "categorical"];

/// Parses all parameters under `path`.
pub(super) fn parameters(specs: &[ParameterSpec], path: &str) -> Result<SearchSpace, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut names = HashSet::new();
    let mut parameters = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let path = format!("{path}[{i}]");
        if spec.name.is_empty() {
            errors.push(FieldError::required(
                format!("{path}.name"),
                "must be specified",
            ));
        } else if !names.insert(spec.name.as_str()) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &spec.name));
        }
        if let Some(domain) = domain(spec, &path, &mut errors) {
            parameters.push(Parameter {
                name: spec.name.clone(),
                domain,
            });
        }
    }
    errors.into_result().map(|()| SearchSpace { parameters })
}

fn domain(spec: &ParameterSpec, path: &str, errors: &mut FieldErrors) -> Option<Domain> {
    let space = Space {
        space: &spec.feasible_space,
        path: format!("{path}.feasibleSpace"),
    };
    let type_path = format!("{path}.parameterType");
    let scale = space.scale(errors);
    match &spec.parameter_type {
        Some(ParameterType::Double) => space.double(scale?, errors),
        Some(ParameterType::Int) => space.int(scale?, errors),
        Some(ParameterType::Discrete) => space.discrete(errors),
        Some(ParameterType::Categorical) => space.categorical(errors),
        Some(ParameterType::Unknown) => {
            errors.push(FieldError::not_supported(type_path, "unknown", &TYPES));
            None
        }
        Some(ParameterType::Other(other)) => {
            errors.push(FieldError::not_supported(type_path, other, &TYPES));
            None
        }
        None => {
            errors.push(FieldError::required(type_path, "must be specified"));
            None
        }
    }
}

/// A feasible space and where it stands.
struct Space<'a> {
    space: &'a FeasibleSpace,
    path: String,
}

impl Space<'_> {
    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn scale(&self, errors: &mut FieldErrors) -> Option<Scale> {
        match &self.space.distribution {
            None | Some(Distribution::Uniform | Distribution::Unknown) => Some(Scale::Uniform),
            Some(Distribution::LogUniform) => Some(Scale::LogUniform),
            Some(Distribution::Normal) => Some(Scale::Normal),
            Some(Distribution::LogNormal) => Some(Scale::LogNormal),
            Some(Distribution::Other(other)) => {
                let field = self.field("distribution");
                errors.push(FieldError::not_supported(
                    field,
                    other,
                    Distribution::VALUES,
                ));
                None
            }
        }
    }

    fn double(&self, scale: Scale, errors: &mut FieldErrors) -> Option<Domain> {
        let before = errors.0.len();
        self.no_list(errors);
        let parse = |text: &str| text.parse().ok().filter(|x: &f64| x.is_finite());
        let what = "must be a finite number";
        let min = self.required("min", &self.space.min, parse, what, errors);
        let max = self.required("max", &self.space.max, parse, what, errors);
        let step = self.number("step", &self.space.step, parse, what, errors);
        self.range(min.zip(max), step, scale, errors);
        let (min, max) = min.zip(max)?;
        if !(max - min).is_finite() {
            let detail = "the distance from min must be a finite number";
            errors.push(FieldError::invalid(
                self.field("max"),
                &self.space.max,
                detail,
            ));
        }
        (errors.0.len() == before).then_some(Domain::Double {
            min,
            max,
            step,
            scale,
        })
    }

    fn int(&self, scale: Scale, errors: &mut FieldErrors) -> Option<Domain> {
        let before = errors.0.len();
        self.no_list(errors);
        let parse = |text: &str| text.parse::<i64>().ok();
        let what = "must be a whole number";
        let min = self.required("min", &self.space.min, parse, what, errors);
        let max = self.required("max", &self.space.max, parse, what, errors);
        let step = self.number("step", &self.space.step, parse, what, errors);
        self.range(min.zip(max), step, scale, errors);
        let (min, max) = min.zip(max)?;
        let step = step.unwrap_or(1);
        (errors.0.len() == before).then_some(Domain::Int {
            min,
            max,
            step,
            scale,
        })
    }

    /// How the numbers of a range stand to each other and to zero, which is `T::default()`.
    fn range<T: PartialOrd + Default>(
        &self,
        bounds: Option<(T, T)>,
        step: Option<T>,
        scale: Scale,
        errors: &mut FieldErrors,
    ) {
        let zero = T::default();
        if step.is_some_and(|step| step <= zero) {
            let detail = "must be greater than 0";
            errors.push(FieldError::invalid(
                self.field("step"),
                &self.space.step,
                detail,
            ));
        }
        let Some((min, max)) = bounds else { return };
        if min >= max {
            let detail = format!("must be less than max ({})", self.space.max);
            errors.push(FieldError::invalid(
                self.field("min"),
                &self.space.min,
                detail,
            ));
        }
        if matches!(scale, Scale::LogUniform | Scale::LogNormal) && min <= zero {
            let detail = "must be greater than 0 for a logarithmic distribution";
            errors.push(FieldError::invalid(
                self.field("min"),
                &self.space.min,
                detail,
            ));
        }
    }

    fn discrete(&self, errors: &mut FieldErrors) -> Option<Domain> {
        self.only_list(errors);
        let count = errors.0.len();
        let mut items: Vec<(f64, String)> = Vec::with_capacity(self.space.list.len());
        for (i, text) in self.space.list.iter().enumerate() {
            let field = format!("{}.list[{i}]", self.path);
            match text.parse::<f64>() {
                Ok(x) if !x.is_finite() => {
                    errors.push(FieldError::invalid(field, text, "must be a finite number"));
                }
                Ok(x) if items.iter().any(|(other, _)| *other == x) => {
                    errors.push(FieldError::duplicate(field, text));
                }
                Ok(x) => items.push((x, text.clone())),
                Err(_) => {
                    errors.push(FieldError::invalid(field, text, "must be a finite number"));
                }
            }
        }
        (errors.0.len() == count && !items.is_empty()).then_some(Domain::Discrete(items))
    }

    fn categorical(&self, errors: &mut FieldErrors) -> Option<Domain> {
        self.only_list(errors);
        let count = errors.0.len();
        let mut seen = HashSet::new();
        for (i, text) in self.space.list.iter().enumerate() {
            if !seen.insert(text) {
                let field = format!("{}.list[{i}]", self.path);
                errors.push(FieldError::duplicate(field, text));
            }
        }
        (errors.0.len() == count && !seen.is_empty())
            .then(|| Domain::Categorical(self.space.list.clone()))
    }

    fn no_list(&self, errors: &mut FieldErrors) {
        if !self.space.list.is_empty() {
            let detail = "is not supported for parameterType double and int";
            errors.push(FieldError::forbidden(self.field("list"), detail));
        }
    }

    fn only_list(&self, errors: &mut FieldErrors) {
        let space = self.space;
        for (name, text) in [
            ("min", &space.min),
            ("max", &space.max),
            ("step", &space.step),
        ] {
            if !text.is_empty() {
                let detail = "is not supported for parameterType discrete and categorical";
                errors.push(FieldError::forbidden(self.field(name), detail));
            }
        }
        if space.list.is_empty() {
            let detail = "must be specified for parameterType discrete and categorical";
            errors.push(FieldError::required(self.field("list"), detail));
        }
    }

    fn required<T>(
        &self,
        name: &str,
        text: &str,
        parse: impl Fn(&str) -> Option<T>,
        what: &str,
        errors: &mut FieldErrors,
    ) -> Option<T> {
        if text.is_empty() {
            let detail = "must be specified for parameterType double and int";
            errors.push(FieldError::required(self.field(name), detail));
            return None;
        }
        self.number(name, text, parse, what, errors)
    }

    /// `None` when the text is empty or, with an error, no number.
    fn number<T>(
        &self,
        name: &str,
        text: &str,
        parse: impl Fn(&str) -> Option<T>,
        what: &str,
        errors: &mut FieldErrors,
    ) -> Option<T> {
        let number = parse(text);
        if number.is_none() && !text.is_empty() {
            errors.push(FieldError::invalid(self.field(name), text, what));
        }
        number
    }
}
