//! Which metrics a series of an event file stands for.
//!
//! As with Katib, the metric `train/accuracy` is the tag `accuracy` in files whose folder's path
//! ends with `train`, and a metric without a slash may be in any folder. Beyond Katib, a tag that
//! holds slashes is found by its whole name. Katib takes every tag that begins with the name;
//! here a tag is the name itself, or the name and the number by which TensorFlow 1 tells tags
//! apart that a program uses twice (`accuracy_1`).

/// Returns whether the series `tag` of a file in `folder` is the metric.
pub(super) fn is_metric(metric: &str, folder: &str, tag: &str) -> bool {
    let ends_folder = |part: &str| {
        folder
            .trim_end_matches('/')
            .strip_suffix(part)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    let fits = |tag: &str| {
        metric
            .strip_suffix(tag)
            .is_some_and(|before| match before.strip_suffix('/') {
                Some(folder) => !tag.is_empty() && ends_folder(folder),
                None => before.is_empty(),
            })
    };
    fits(tag) || unnumbered(tag).is_some_and(fits)
}

/// Takes `_1`, `_2` and so on off a tag.
fn unnumbered(tag: &str) -> Option<&str> {
    let (name, number) = tag.rsplit_once('_')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (digits && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_tags_make_names() {
        for (metric, folder, tag, expected) in [
            ("accuracy", "/logs/train", "accuracy", true),
            ("accuracy", "/logs", "accuracy", true),
            ("train/accuracy", "/logs/train", "accuracy", true),
            ("train/accuracy", "/logs/train/", "accuracy", true),
            ("train/accuracy", "/logs/validation", "accuracy", false),
            ("train/accuracy", "/logs/pretrain", "accuracy", false),
            ("train/accuracy", "/logs", "train/accuracy", true),
            ("a/train/accuracy", "/logs/a", "train/accuracy", true),
            ("a/train/accuracy", "/logs/a/train", "accuracy", true),
            ("accuracy", "/logs", "train/accuracy", false),
            ("accuracy", "/logs", "accuracy_1", true),
            ("accuracy", "/logs", "accuracy_top5", false),
            ("accuracy", "/logs", "accuracy_", false),
            ("top_1", "/logs", "top_1", true),
            ("acc", "/logs", "accuracy", false),
            ("epoch_loss", "/logs/train", "epoch_loss", true),
            ("train/", "/logs/train", "", false),
            ("x", "/logs", "", false),
        ] {
            assert_eq!(
                is_metric(metric, folder, tag),
                expected,
                "{metric}: {folder} {tag}"
            );
        }
    }
}
