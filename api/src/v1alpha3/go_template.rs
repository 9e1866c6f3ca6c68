//! The Go template of a v1alpha3 experiment: executed once, with placeholders for values.

use std::sync::Arc;

use gotmpl::{Template, ToValue, Value, tmap};

use super::stand_in::StandIns;

/// More than any template of a job needs; one that goes on for ever ends here.
const MOST_ITERATIONS: u64 = 10_000;

/// What a template is executed with.
pub(super) struct Given<'a> {
    /// The experiment's name; not known before the API server has made one up.
    pub(super) experiment: Option<&'a str>,
    /// What stands for the trial's name.
    pub(super) trial: &'a str,
    /// What stands for its namespace.
    pub(super) namespace: &'a str,
    /// Each parameter's name, and what stands for its value.
    pub(super) parameters: &'a [(&'a str, String)],
}

/// The text of the template with what stands for values in it. The error says what is wrong.
pub(super) fn execute(text: &str, given: &Given<'_>) -> Result<String, String> {
    check_blocks(text).map_err(|error| format!("not a Go template: {error}"))?;
    let template = Template::new("")
        .missing_key(gotmpl::MissingKey::Error)
        .max_range_iters(MOST_ITERATIONS)
        .parse(text)
        .map_err(|error| format!("not a Go template: {error}"))?;
    let words = StandIns::new(text);
    let executed = run(&template, given, &words, None)
        .map_err(|error| format!("the template can't be executed: {error}"))?;
    for i in 0..given.parameters.len() + 2 {
        // As a list a value is printed all the same, but can't be compared, cut or measured like
        // a text: where the outcome differs, the template does more than print it.
        let probed = run(&template, given, &words, Some(i));
        let probed = probed.map(|text| as_text(&text, &words.word(i)));
        if probed.ok().as_ref() != Some(&executed) {
            let what = match given.parameters.get(i) {
                Some((name, _)) => format!("the value of parameter {name:?}"),
                None => "the name or the namespace of the trial".to_owned(),
            };
            return Err(format!(
                "the template looks at {what}; only one that puts values in as they are can be \
                 converted. Leave the decision to the program, or write the experiment for \
                 kubeflow.org/v1beta1"
            ));
        }
    }
    Ok(fill(executed, given, &words))
}

/// Checks that every block ends, and nothing else does: the parser lets both pass.
fn check_blocks(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let action = after.strip_prefix('-').unwrap_or(after).trim_start();
        if action.starts_with("/*") {
            rest = action.split_once("*/").map_or("", |(_, rest)| rest);
            continue;
        }
        let end = end_of_action(action);
        let end = end.ok_or("an action {{ is not closed by }}")?;
        let word = action[..end]
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        match word {
            "if" | "range" | "with" | "define" | "block" => open.push(word),
            "end" if open.pop().is_none() => return Err("unexpected {{end}}".to_owned()),
            _ => {}
        }
        rest = &action[end..];
    }
    match open.pop() {
        Some(word) => Err(format!("{{{{{word}}}}} has no {{{{end}}}}")),
        None => Ok(()),
    }
}

/// Where an action ends; what stands in quotes does not end it.
fn end_of_action(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if "\"'`".contains(c) => quote = Some(c),
            None if text[i..].starts_with("}}") => return Some(i),
            _ => {}
        }
    }
    None
}

/// What was printed of a list of twice the same word, as if it had been the word: by itself, and by
/// `printf` with `%s` and `%q`.
fn as_text(printed: &str, word: &str) -> String {
    let list = format!("[{word} {word}]");
    printed
        .replace(&format!("%!s(list={list})"), word)
        .replace(&format!("%!q(list={list})"), &format!("{word:?}"))
        .replace(&list, word)
}

/// Executes the template with words for values, that of number `probed` as a list. The trial's name
/// and namespace come after the parameters.
fn run(
    template: &Template,
    given: &Given<'_>,
    words: &StandIns,
    probed: Option<usize>,
) -> gotmpl::Result<String> {
    let value = |i| match words.word(i) {
        word if probed == Some(i) => vec![word.clone(), word].to_value(),
        word => word.to_value(),
    };
    let parameters = given.parameters.iter().enumerate();
    let parameters: Vec<Value> = parameters
        .map(|(i, (name, _))| tmap! {"Name" => *name, "Value" => value(i)})
        .collect();
    let count = parameters.len();
    let mut data = vec![
        ("Trial", value(count)),
        ("NameSpace", value(count + 1)),
        ("HyperParameters", parameters.to_value()),
    ];
    if let Some(experiment) = given.experiment {
        data.push(("Experiment", experiment.to_value()));
    }
    let data = data.into_iter().map(|(name, value)| (name.into(), value));
    template.execute_to_string(&Value::Map(Arc::new(data.collect())))
}

/// Puts in what the words stand for.
fn fill(text: String, given: &Given<'_>, words: &StandIns) -> String {
    let values = given.parameters.iter().map(|(_, value)| value.as_str());
    let values = values.chain([given.trial, given.namespace]).enumerate();
    values.fold(text, |text, (i, value)| text.replace(&words.word(i), value))
}
