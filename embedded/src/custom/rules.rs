//! `x-kubernetes-validations`: rules in CEL, compiled once for a schema and asked of its objects.

mod check;
mod types;
mod value;

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use kube_cel::{
    KubeCelExt,
    cel::{Context, ExecutionError, Program, Value as Cel, objects::OptionalValue},
};
use serde_json::Value;

pub(crate) use self::check::check;
use super::problem;
use crate::{
    schema::{Path, correlated},
    status::Cause,
};

/// The rules of a schema, by their text.
#[derive(Default)]
pub(crate) struct Rules {
    programs: HashMap<String, Compiled>,
}

struct Compiled {
    program: Program,
    compares: bool,
}

thread_local! {
    /// The functions that rules may call.
    static FUNCTIONS: Context<'static> = Context::default().with_all();
}

/// An expression as a program.
fn compile(text: &str) -> Result<Compiled, String> {
    let program = Program::compile(text).map_err(|errors| errors.to_string())?;
    let compares = program.references().has_variable("oldSelf");
    Ok(Compiled { program, compares })
}

impl Rules {
    /// The rules of a schema. One that can't be compiled is left out: no definition with such a
    /// rule is accepted.
    pub(crate) fn new(schema: &Value) -> Self {
        let mut rules = Self::default();
        rules.collect(schema);
        rules
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    fn collect(&mut self, node: &Value) {
        for rule in of(node) {
            for text in [&rule["rule"], &rule["messageExpression"]] {
                if let Some(text) = text.as_str().filter(|text| !text.is_empty())
                    && let Ok(compiled) = compile(text)
                {
                    self.programs.insert(text.to_owned(), compiled);
                }
            }
        }
        for child in node["properties"].as_object().into_iter().flatten() {
            self.collect(child.1);
        }
        for child in [&node["items"], &node["additionalProperties"]] {
            if child.is_object() {
                self.collect(child);
            }
        }
    }

    /// What the rules have against an object. What is as it was in `old` is not asked about.
    pub(crate) fn evaluate(
        &self,
        schema: &Value,
        object: &Value,
        old: Option<&Value>,
    ) -> Vec<Cause> {
        let causes = RefCell::new(Vec::new());
        if !self.is_empty() {
            self.walk(schema, object, old, &mut Path::default(), &causes);
        }
        causes.into_inner()
    }

    fn walk(
        &self,
        node: &Value,
        value: &Value,
        old: Option<&Value>,
        path: &mut Path,
        causes: &RefCell<Vec<Cause>>,
    ) {
        if old == Some(value) || value.is_null() {
            return;
        }
        if of(node).next().is_some() {
            self.ask(node, value, old, path, &mut causes.borrow_mut());
        }
        match value {
            Value::Object(fields) => {
                for (field, child) in fields {
                    let known = node["properties"].get(field);
                    let Some(node) = known.or(node.get("additionalProperties")) else {
                        continue;
                    };
                    let old = old.and_then(|old| old.get(field));
                    path.within(field, |path| self.walk(node, child, old, path, causes));
                }
            }
            Value::Array(items) if node["items"].is_object() => {
                for (i, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| correlated(node, item, old));
                    path.at(i, |path| self.walk(&node["items"], item, old, path, causes));
                }
            }
            _ => {}
        }
    }

    fn ask(
        &self,
        node: &Value,
        value: &Value,
        old: Option<&Value>,
        path: &Path,
        causes: &mut Vec<Cause>,
    ) {
        let this = value::from_json(node, value);
        let before = old.map(|old| value::from_json(node, old));
        for rule in of(node) {
            let optional = rule["optionalOldSelf"] == true;
            let text = rule["rule"].as_str().unwrap_or_default();
            let Some(compiled) = self.programs.get(text) else {
                continue;
            };
            if compiled.compares && before.is_none() && !optional {
                continue;
            }
            let before = if optional {
                let before = before.clone();
                let held = before.map_or_else(OptionalValue::none, OptionalValue::of);
                Some(Cel::Opaque(Arc::new(held)))
            } else {
                before.clone()
            };
            let run = |program: &Program| execute(program, &this, before.as_ref());
            match run(&compiled.program) {
                Ok(Cel::Bool(true)) => {}
                Ok(Cel::Bool(false)) => {
                    let expression = rule["messageExpression"].as_str().unwrap_or_default();
                    let told = self
                        .programs
                        .get(expression)
                        .and_then(|c| run(&c.program).ok());
                    causes.push(broken(rule, value, path, told));
                }
                Ok(_) => causes.push(failed(rule, value, path, "the rule gives no boolean")),
                Err(error) => causes.push(failed(rule, value, path, &explain(&error))),
            }
        }
    }
}

/// The rules of a node.
fn of(node: &Value) -> impl Iterator<Item = &Value> {
    let rules = node["x-kubernetes-validations"].as_array();
    rules.into_iter().flatten()
}

fn execute(program: &Program, this: &Cel, before: Option<&Cel>) -> Result<Cel, ExecutionError> {
    FUNCTIONS.with(|functions| {
        let mut context = functions.new_inner_scope();
        context.add_variable_from_value("self", this.clone());
        if let Some(before) = before {
            context.add_variable_from_value("oldSelf", before.clone());
        }
        program.execute(&context)
    })
}

/// A rule does not hold.
fn broken(rule: &Value, value: &Value, path: &Path, told: Option<Cel>) -> Cause {
    let text = |field: &str| rule[field].as_str().unwrap_or_default().trim();
    let told = match told {
        Some(Cel::String(told)) if !told.trim().is_empty() && !told.contains('\n') => {
            Some(told.trim().to_owned())
        }
        _ => None,
    };
    let message = match (told, text("message")) {
        (Some(told), _) => told,
        (None, "") => format!("failed rule: {}", text("rule")),
        (None, message) => message.to_owned(),
    };
    let field = format!("{}{}", path.as_str(), text("fieldPath"));
    let field = field.trim_start_matches('.').to_owned();
    match text("reason") {
        "FieldValueForbidden" => problem::forbidden(shown(field), &message),
        "FieldValueRequired" => problem::required(shown(field), &message),
        "FieldValueDuplicate" => problem::duplicate(shown(field), value),
        _ => invalid(shown(field), value, &message),
    }
}

/// A rule could not be asked.
fn failed(rule: &Value, value: &Value, path: &Path, why: &str) -> Cause {
    let message = rule["message"].as_str().filter(|m| !m.is_empty());
    let rule = rule["rule"].as_str().unwrap_or_default();
    let about = message.unwrap_or(rule);
    let detail = format!("{why} evaluating rule: {about}");
    invalid(shown(path.to_string()), value, &detail)
}

/// Objects and lists are not shown again.
fn invalid(field: String, value: &Value, detail: &str) -> Cause {
    if value.is_object() || value.is_array() {
        return Cause {
            field,
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {detail}"),
        };
    }
    problem::invalid(field, value, detail)
}

fn shown(field: String) -> String {
    if field.is_empty() {
        "<nil>".to_owned()
    } else {
        field
    }
}

fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
