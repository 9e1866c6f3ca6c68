//! Tables: how kubectl shows objects to people.

mod age;
mod cells;

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    json_path, metadata,
    resource::{Kinds, Resource},
    rest::partial,
};

/// What the column of names is.
const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, \
    although some resources may allow a client to request the generation of an appropriate name \
    automatically. Name is primarily intended for creation idempotence and configuration \
    definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
/// What the column of ages is.
const AGE: &str = "CreationTimestamp is a timestamp representing the server time when this object \
    was created. It is not guaranteed to be set in happens-before order across separate \
    operations. Clients may not set this value. It is represented in RFC3339 form and is in \
    UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What a row holds beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// The object's metadata.
    Metadata,
    /// The object.
    Object,
}

impl Include {
    /// Reads the parameter `includeObject`.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("None") => Self::None,
            Some("Object") => Self::Object,
            _ => Self::Metadata,
        }
    }

    fn row(self, object: &Value, cells: &[Value]) -> Value {
        let object = match self {
            Self::None => Value::Null,
            Self::Metadata => partial(object),
            Self::Object => object.clone(),
        };
        json!({ "cells": cells, "object": object })
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    name: String,
    type_: String,
    /// 0: always shown; 1: with `-o wide`.
    priority: i64,
    description: String,
}

/// Columns and rows.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Value>,
}

/// The columns of a definition that has none.
static AGE_ALONE: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let path = ".metadata.creationTimestamp";
    vec![json!({ "name": "Age", "type": "date", "description": AGE, "jsonPath": path })]
});

/// The table of some objects of a kind, as they are stored.
pub(crate) fn of(
    kinds: &Kinds,
    resource: &'static Resource,
    objects: &[&Value],
    include: Include,
) -> Table {
    let now = Timestamp::now();
    let printed = kinds.custom(resource).map(|custom| {
        let columns = custom.version["additionalPrinterColumns"].as_array();
        columns.unwrap_or(&AGE_ALONE).as_slice()
    });
    let columns = match printed {
        Some(printed) => custom_columns(printed),
        None => cells::columns(resource),
    };
    let rows = objects
        .iter()
        .map(|object| {
            let cells = match printed {
                Some(printed) => custom_cells(printed, object, now),
                None => cells::of(resource, object, now),
            };
            include.row(object, &cells)
        })
        .collect();
    Table { columns, rows }
}

/// The table of how many replicas an object wants and has.
pub(crate) fn of_scale(scale: &Value, include: Include) -> Table {
    let cells = cells::of_scale(scale, Timestamp::now());
    Table {
        columns: cells::SCALE.map(|name| column(name, 0)).into(),
        rows: vec![include.row(scale, &cells)],
    }
}

impl Table {
    /// The object on the wire.
    pub(crate) fn to_value(&self, metadata: Value, with_columns: bool) -> Value {
        let columns = self.columns.iter().map(|column| {
            let format = if column.name == "Name" { "name" } else { "" };
            json!({
                "name": column.name,
                "type": column.type_,
                "format": format,
                "description": column.description,
                "priority": column.priority,
            })
        });
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": with_columns.then(|| columns.collect::<Value>()),
            "rows": self.rows,
        })
    }
}

/// A column of built-in kinds.
fn column(name: &str, priority: i64) -> Column {
    Column {
        name: name.to_owned(),
        type_: "string".to_owned(),
        priority,
        description: match name {
            "Name" => NAME.to_owned(),
            "Age" => AGE.to_owned(),
            _ => String::new(),
        },
    }
}

fn custom_columns(printed: &[Value]) -> Vec<Column> {
    let text = |column: &Value, field: &str| column[field].as_str().unwrap_or_default().to_owned();
    let rest = printed.iter().map(|printed| Column {
        name: text(printed, "name"),
        type_: text(printed, "type"),
        priority: printed["priority"].as_i64().unwrap_or(0),
        description: match text(printed, "description") {
            none if none.is_empty() => {
                let path = text(printed, "jsonPath");
                format!("Custom resource definition column (in JSONPath format): {path}")
            }
            description => description,
        },
    });
    let name = Column {
        description: NAME.to_owned(),
        ..column("Name", 0)
    };
    std::iter::once(name).chain(rest).collect()
}

fn custom_cells(printed: &[Value], object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![json!(metadata::name(object))];
    cells.extend(printed.iter().map(|column| {
        let path = column["jsonPath"].as_str().unwrap_or_default();
        let Some(value) = json_path::first(object, path) else {
            return Value::Null;
        };
        if column["type"] == "date" {
            return json!(age::since(value.as_str(), now));
        }
        match value {
            Value::Object(_) | Value::Array(_) => json!(value.to_string()),
            simple if column["type"] == "string" && !simple.is_string() => {
                json!(simple.to_string())
            }
            simple => simple.clone(),
        }
    }));
    cells
}
