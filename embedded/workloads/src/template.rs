//! Templates of pods: whether two are the same, and a short word for one.

use serde_json::Value;

/// On pods and ReplicaSets of Deployments: the word for their template.
pub(crate) const HASH: &str = "pod-template-hash";
/// Letters of words: no vowels, so no words.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Whether two templates make the same pods.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    bare(one) == bare(other)
}

/// A template without what a Deployment adds to it.
fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    let metadata = template.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(HASH);
        }
        metadata.retain(|_, value| !value.is_null() && value != &serde_json::json!({}));
    }
    template
}

/// A short word for a value: FNV-1a, which is the same in every build. `collisions` gives another
/// one when others have it.
pub(crate) fn word(value: &Value, collisions: u64) -> String {
    let mut text = bare(value).to_string();
    if collisions > 0 {
        text.push_str(&collisions.to_string());
    }
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let digits = hash.to_string();
    let letter = |digit: u8| char::from(LETTERS[usize::from(digit) % LETTERS.len()]);
    digits.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_word_follows_from_the_template_alone() {
        let plain = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "x": 1 } });
        let mut marked = plain.clone();
        marked["metadata"]["labels"][HASH] = json!("bcd");
        assert!(is_same(&plain, &marked));
        assert_eq!(word(&plain, 0), word(&marked, 0));
        assert_ne!(word(&plain, 0), word(&plain, 1));
        marked["spec"]["x"] = json!(2);
        assert!(!is_same(&plain, &marked));
        assert_ne!(word(&plain, 0), word(&marked, 0));
    }
}
