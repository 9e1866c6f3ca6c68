//! Reading label selectors, with the words of Kubernetes for what is wrong with them.

use std::iter::Peekable;

use super::LabelRequirement;
use crate::validate::{label_value, qualified_name};

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

/// Reads the requirements of a selector.
pub(super) fn parse(text: &str) -> Result<Vec<LabelRequirement>, String> {
    let mut parser = Parser {
        tokens: tokens(text).into_iter().peekable(),
    };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            "" => return Ok(requirements),
            token if is_identifier(token) || token == "!" => {}
            token => {
                return Err(format!(
                    "found '{token}', expected: !, identifier, or 'end of string'"
                ));
            }
        }
        let requirement = parser.requirement();
        requirements
            .push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
        match parser.next() {
            "" => return Ok(requirements),
            "," => {}
            token => return Err(format!("found '{token}', expected: ',' or 'end of string'")),
        }
        let token = parser.peek();
        if !is_identifier(token) && token != "!" {
            return Err(format!("found '{token}', expected: identifier after ','"));
        }
    }
}

/// Cuts a selector into operators, commas, parentheses and identifiers.
fn tokens(text: &str) -> Vec<&str> {
    const OPERATORS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let operator = OPERATORS
            .iter()
            .find(|operator| rest.starts_with(*operator));
        let end = match operator {
            Some(operator) => operator.len(),
            None => rest
                .find(|c: char| c.is_whitespace() || "=!(),><".contains(c))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn is_identifier(token: &str) -> bool {
    !token.is_empty() && !token.starts_with(|c| "=!(),><".contains(c))
}

/// The tokens that are left; an empty one stands for the end.
struct Parser<'a, I: Iterator<Item = &'a str>> {
    tokens: Peekable<I>,
}

impl<'a, I: Iterator<Item = &'a str>> Parser<'a, I> {
    fn peek(&mut self) -> &'a str {
        self.tokens.peek().copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        self.tokens.next().unwrap_or_default()
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let absent = self.peek() == "!";
        if absent {
            self.next();
        }
        let key = self.next();
        if !is_identifier(key) {
            return Err(format!("found '{key}', expected: identifier"));
        }
        if let Some(why) = qualified_name(key).into_iter().next() {
            return Err(format!("<nil>: Invalid value: {key:?}: {why}"));
        }
        let key = key.to_owned();
        if absent {
            return Ok(LabelRequirement::Absent(key));
        }
        if matches!(self.peek(), "" | ",") {
            return Ok(LabelRequirement::Exists(key));
        }
        match self.next() {
            "in" => Ok(LabelRequirement::In(key.clone(), self.values(&key)?)),
            "notin" => Ok(LabelRequirement::NotIn(key.clone(), self.values(&key)?)),
            "=" | "==" => Ok(LabelRequirement::In(key.clone(), vec![self.value(&key)?])),
            "!=" => Ok(LabelRequirement::NotIn(
                key.clone(),
                vec![self.value(&key)?],
            )),
            ">" => Ok(LabelRequirement::Greater(key.clone(), self.bound(&key)?)),
            "<" => Ok(LabelRequirement::Less(key.clone(), self.bound(&key)?)),
            token => Err(format!("found '{token}', expected: {OPERATORS}")),
        }
    }

    /// The one value after an operator; none is an empty one.
    fn value(&mut self, key: &str) -> Result<String, String> {
        if matches!(self.peek(), "" | ",") {
            return Ok(String::new());
        }
        let token = self.next();
        if !is_identifier(token) {
            return Err(format!("found '{token}', expected: identifier"));
        }
        checked(key, 0, token)
    }

    fn bound(&mut self, key: &str) -> Result<i64, String> {
        let value = self.value(key)?;
        value.parse().map_err(|_| {
            format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be \
                 an integer"
            )
        })
    }

    /// The values in parentheses; one that is left out is an empty one.
    fn values(&mut self, key: &str) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != "(" {
            return Err(format!("found '{open}' expected: '('"));
        }
        let mut values: Vec<&str> = vec![""];
        loop {
            match self.next() {
                ")" => break,
                "," => values.push(""),
                token if is_identifier(token) => {
                    if values.last().is_some_and(|last| !last.is_empty()) {
                        return Err(format!("found '{token}', expected: ',' or ')'"));
                    }
                    values.pop();
                    values.push(token);
                }
                token => return Err(format!("found '{token}', expected: ',' or ')'")),
            }
        }
        let each = values.into_iter().enumerate();
        each.map(|(i, value)| checked(key, i, value)).collect()
    }
}

fn checked(key: &str, index: usize, value: &str) -> Result<String, String> {
    match label_value(value) {
        Some(why) => Err(format!(
            "values[{index}][{key}]: Invalid value: \"{value}\": {why}"
        )),
        None => Ok(value.to_owned()),
    }
}
