//! What an expression gives, as far as a schema tells. Where it does not tell, anything goes:
//! what is found wrong here is wrong, and what is not may still fail when it is asked.

use kube_cel::cel::{
    Program,
    common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr},
};
use regex::Regex;
use serde_json::Value;

use super::value::escape;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type<'a> {
    Any,
    Bool,
    Int,
    Double,
    Text,
    /// A list of what a schema describes.
    List(&'a Value),
    /// A map to what a schema describes.
    Map(&'a Value),
    /// Fields that a schema describes.
    Object(&'a Value),
}

impl Type<'_> {
    /// Whether a value can be a truth.
    pub(super) fn may_be_bool(self) -> bool {
        matches!(self, Self::Any | Self::Bool)
    }

    /// Whether a value can be a text.
    pub(super) fn may_be_string(self) -> bool {
        matches!(self, Self::Any | Self::Text)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "dyn",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Object(_) => "object",
        }
    }
}

/// Names that are no variables: of types, and of what functions belong to.
const NAMES: [&str; 25] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
    "optional",
    "math",
    "sets",
    "strings",
    "cel",
    "format",
    "ip",
    "cidr",
    "base64",
    "jsonpatch",
    "net",
    "google",
];

/// What a program over an object of a schema gives. `optional`: whether there may be no old one.
pub(super) fn of<'a>(
    program: &Program,
    schema: &'a Value,
    optional: bool,
) -> Result<Type<'a>, String> {
    let this = described(schema);
    let before = if optional { Type::Any } else { this };
    let mut scope = vec![("self".to_owned(), this), ("oldSelf".to_owned(), before)];
    infer(program.expression(), &mut scope)
}

type Scope<'a> = Vec<(String, Type<'a>)>;

/// What a schema describes.
fn described(node: &Value) -> Type<'_> {
    if node["x-kubernetes-int-or-string"] == true {
        return Type::Any;
    }
    match (node["type"].as_str(), node["format"].as_str()) {
        (Some("boolean"), _) => Type::Bool,
        (Some("integer"), _) => Type::Int,
        (Some("number"), _) => Type::Double,
        (Some("string"), Some("date-time" | "date" | "duration" | "byte")) => Type::Any,
        (Some("string"), _) => Type::Text,
        (Some("array"), _) => Type::List(&node["items"]),
        (Some("object"), _) if node["additionalProperties"].is_object() => {
            Type::Map(&node["additionalProperties"])
        }
        // Fields that the schema keeps without naming them can't be said in a rule.
        (Some("object"), _) if node["x-kubernetes-embedded-resource"] != true => Type::Object(node),
        _ => Type::Any,
    }
}

fn infer<'a>(expression: &IdedExpr, scope: &mut Scope<'a>) -> Result<Type<'a>, String> {
    Ok(match &expression.expr {
        Expr::Ident(name) => {
            let known = scope.iter().rev().find(|(known, _)| known == name);
            match known {
                Some((_, type_)) => *type_,
                None if NAMES.contains(&name.as_str()) => Type::Any,
                None => {
                    return Err(format!(
                        "undeclared reference to '{name}' (in container '')"
                    ));
                }
            }
        }
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::String(_) => Type::Text,
            _ => Type::Any,
        },
        Expr::Select(select) => selected(select, scope)?,
        Expr::Call(call) => called(call, scope)?,
        Expr::Comprehension(comprehension) => folded(comprehension, scope)?,
        Expr::List(list) => {
            for element in &list.elements {
                infer(element, scope)?;
            }
            Type::List(&Value::Null)
        }
        Expr::Map(_) => Type::Map(&Value::Null),
        Expr::Struct(_) | Expr::Unspecified => Type::Any,
    })
}

fn selected<'a>(select: &SelectExpr, scope: &mut Scope<'a>) -> Result<Type<'a>, String> {
    let field = &select.field;
    let found = match infer(&select.operand, scope)? {
        Type::Any => Type::Any,
        Type::Map(values) => described(values),
        Type::Object(node) => {
            let properties = node["properties"].as_object().into_iter().flatten();
            let mut named = properties.filter(|(name, _)| escape(name) == *field);
            match named.next() {
                Some((_, child)) => described(child),
                None => return Err(format!("undefined field '{field}'")),
            }
        }
        other => {
            let name = other.name();
            return Err(format!("type '{name}' does not support field selection"));
        }
    };
    Ok(if select.test { Type::Bool } else { found })
}

fn called<'a>(call: &CallExpr, scope: &mut Scope<'a>) -> Result<Type<'a>, String> {
    let mut given = Vec::new();
    for part in call.target.as_deref().into_iter().chain(&call.args) {
        given.push(infer(part, scope)?);
    }
    let refuse = || {
        let names: Vec<&str> = given.iter().map(|type_| type_.name()).collect();
        let (name, names) = (&call.func_name, names.join(", "));
        Err(format!(
            "found no matching overload for '{name}' applied to '({names})'"
        ))
    };
    let comparable = |a: Type<'_>, b: Type<'_>| {
        let either = a == Type::Any || b == Type::Any;
        let numbers = [Type::Int, Type::Double];
        let alike = std::mem::discriminant(&a) == std::mem::discriminant(&b);
        either || alike || numbers.contains(&a) && numbers.contains(&b)
    };
    if call.func_name == "matches"
        && let Some(Expr::Literal(LiteralValue::String(pattern))) =
            call.args.last().map(|a| &a.expr)
        && Regex::new(pattern.inner()).is_err()
    {
        return Err("invalid matches argument".to_owned());
    }
    match (call.func_name.as_str(), given.as_slice()) {
        ("_==_" | "_!=_", [a, b]) if !comparable(*a, *b) => refuse(),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            let ordered =
                |t: &Type<'_>| !matches!(t, Type::List(_) | Type::Map(_) | Type::Object(_));
            if comparable(*a, *b) && ordered(a) && ordered(b) {
                Ok(Type::Bool)
            } else {
                refuse()
            }
        }
        ("_&&_" | "_||_", [a, b]) if !a.may_be_bool() || !b.may_be_bool() => refuse(),
        ("!_", [a]) if !a.may_be_bool() => refuse(),
        ("_==_" | "_!=_" | "_&&_" | "_||_" | "!_" | "@in", _) => Ok(Type::Bool),
        ("startsWith" | "endsWith" | "contains" | "matches", [text, _]) => {
            if text.may_be_string() {
                Ok(Type::Bool)
            } else {
                refuse()
            }
        }
        ("size", [Type::Bool | Type::Int | Type::Double | Type::Object(_)]) => refuse(),
        ("_?_:_", [condition, a, b]) => {
            if !condition.may_be_bool() {
                return refuse();
            }
            Ok(if a == b { *a } else { Type::Any })
        }
        ("string", _) | ("_+_", [Type::Text, Type::Text]) => Ok(Type::Text),
        ("size", _) | ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [Type::Int, Type::Int]) => {
            Ok(Type::Int)
        }
        ("_+_" | "_-_" | "_*_" | "_/_", [a, b]) if !comparable(*a, *b) => refuse(),
        ("_[_]", [Type::List(values) | Type::Map(values), _]) => Ok(described(values)),
        _ => Ok(Type::Any),
    }
}

fn folded<'a>(fold: &ComprehensionExpr, scope: &mut Scope<'a>) -> Result<Type<'a>, String> {
    let element = match infer(&fold.iter_range, scope)? {
        Type::Any => Type::Any,
        Type::List(items) => described(items),
        Type::Map(_) => Type::Text,
        other => {
            let name = other.name();
            return Err(format!(
                "expression of type '{name}' cannot be range of a comprehension"
            ));
        }
    };
    let start = infer(&fold.accu_init, scope)?;
    let depth = scope.len();
    scope.push((fold.iter_var.clone(), element));
    if let Some(second) = &fold.iter_var2 {
        scope.push((second.clone(), Type::Any));
    }
    // What is gathered may be a list of anything.
    let gathered = if start == Type::Bool {
        start
    } else {
        Type::Any
    };
    scope.push((fold.accu_var.clone(), gathered));
    let result = infer(&fold.loop_step, scope).and_then(|_| infer(&fold.result, scope));
    scope.truncate(depth);
    result
}
