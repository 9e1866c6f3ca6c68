//! Fields that a JSON document gives twice. Of such a field the last value counts.

use std::{collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

/// The paths of the fields that stand twice in a document, in the order in which they come.
pub(super) fn of(json: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut document = serde_json::Deserializer::from_slice(json);
    let node = Node {
        path: String::new(),
        found: &mut found,
    };
    // A document that is no JSON is refused elsewhere.
    let _ = node.deserialize(&mut document);
    found
}

/// The first key that stands twice in a map of a YAML document, and the line of its second place.
pub(super) fn in_yaml(yaml: &[u8]) -> Option<(u64, String)> {
    let text = std::str::from_utf8(yaml).ok()?;
    let error = serde_saphyr::from_str::<serde_json::Value>(text).err()?;
    let what = error.to_string();
    let (_, rest) = what.split_once("duplicate mapping key: ")?;
    let (key, _) = rest.split_once(',')?;
    Some((error.location()?.line(), key.to_owned()))
}

/// A value at a path.
struct Node<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let node = Node {
                path: format!("{}[{index}]", self.path),
                found: self.found,
            };
            if items.next_element_seed(node)?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut known = HashSet::new();
        while let Some(field) = fields.next_key::<String>()? {
            let path = match self.path.as_str() {
                "" => field.clone(),
                path => format!("{path}.{field}"),
            };
            if !known.insert(field) {
                self.found.push(path.clone());
            }
            fields.next_value_seed(Node {
                path,
                found: self.found,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{in_yaml, of};

    #[test]
    fn the_first_key_that_stands_twice_is_found_in_yaml() {
        assert_eq!(
            in_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\n"),
            Some((4, "c".to_owned()))
        );
        assert_eq!(in_yaml(b"a: 1\n"), None);
        assert_eq!(in_yaml(b"{"), None);
    }

    #[test]
    fn fields_that_stand_twice_are_named_by_their_paths() {
        let json = br#"{"a":1,"b":[{"c":{"d":1,"d":null}},{"e":"x","e":2.5}],"a":true}"#;
        assert_eq!(of(json), ["b[0].c.d", "b[1].e", "a"]);
        assert_eq!(of(br#"{"a":{"x":1},"b":{"x":1}}"#), [""; 0]);
        assert_eq!(of(b"{"), [""; 0]);
    }
}
