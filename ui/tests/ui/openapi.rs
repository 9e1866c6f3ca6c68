//! The OpenAPI description that is kept beside the code is the one that is served.

use std::{env, fs, path::Path};

use pretty_assertions::assert_eq;

#[test]
fn the_kept_description_is_current() {
    let current = diwan_ui::openapi()
        .to_pretty_json()
        .expect("the description is JSON")
        + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &current).expect("openapi.json can be written");
    }
    let kept = fs::read_to_string(&path).expect("openapi.json can be read");
    assert_eq!(
        kept, current,
        "run the test with UPDATE_OPENAPI=1 to renew openapi.json"
    );
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let description = diwan_ui::openapi();
    for (path, item) in &description.paths.paths {
        assert!(path.starts_with(diwan_ui::API_BASE), "{path}");
        let operations = [&item.get, &item.post, &item.patch, &item.delete];
        for operation in operations.into_iter().flatten() {
            let text = operation.summary.as_deref().unwrap_or_default();
            assert!(text.ends_with('.'), "{path}: {text:?}");
            assert!(
                operation.responses.responses.contains_key("default"),
                "{path}"
            );
        }
    }
}
