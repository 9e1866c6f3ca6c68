//! Rows and names of tables that are made at run time. They stay for as long as the program runs,
//! each once: a definition that comes again makes none.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex, PoisonError},
};

use super::{ALL, Resource, STORAGES};

struct Interned {
    tables: Vec<&'static str>,
    texts: HashSet<&'static str>,
    lists: HashSet<&'static [&'static str]>,
    rows: Vec<&'static Resource>,
}

static INTERNED: LazyLock<Mutex<Interned>> = LazyLock::new(|| {
    Mutex::new(Interned {
        tables: STORAGES.to_vec(),
        texts: HashSet::new(),
        lists: HashSet::new(),
        rows: ALL.to_vec(),
    })
});

fn with<T>(act: impl FnOnce(&mut Interned) -> T) -> T {
    // Nothing here is left half done by a panic.
    act(&mut INTERNED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The number of the table of a name.
pub(crate) fn storage(name: &str) -> usize {
    let name = text(name);
    with(|interned| {
        let tables = &mut interned.tables;
        tables.iter().position(|t| *t == name).unwrap_or_else(|| {
            tables.push(name);
            tables.len() - 1
        })
    })
}

/// The name of a table, as it stands in the database.
pub(crate) fn storage_name(storage: usize) -> &'static str {
    with(|interned| interned.tables.get(storage).copied().unwrap_or_default())
}

/// A text that stays.
pub(crate) fn text(text: &str) -> &'static str {
    with(|interned| {
        let known = interned.texts.get(text).copied();
        known.unwrap_or_else(|| {
            let new = Box::leak(text.to_owned().into_boxed_str());
            interned.texts.insert(new);
            new
        })
    })
}

/// A list that stays.
pub(crate) fn list(items: Vec<&'static str>) -> &'static [&'static str] {
    with(|interned| {
        let known = interned.lists.get(items.as_slice()).copied();
        known.unwrap_or_else(|| {
            let new = Box::leak(items.into_boxed_slice());
            interned.lists.insert(new);
            new
        })
    })
}

/// A row that stays; a built-in one when it is the same.
pub(crate) fn row(row: Resource) -> &'static Resource {
    with(|interned| {
        let known = interned.rows.iter().find(|known| ***known == row).copied();
        known.unwrap_or_else(|| {
            let new = Box::leak(Box::new(row));
            interned.rows.push(new);
            new
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{list, storage, storage_name, text};

    #[test]
    fn what_comes_again_is_the_same() {
        assert_eq!(storage("pods"), 1);
        let new = storage("whirligigs.example.com");
        assert_eq!(storage("whirligigs.example.com"), new);
        assert_eq!(storage_name(new), "whirligigs.example.com");
        assert!(std::ptr::eq(text("whirl"), text("whirl")));
        assert!(std::ptr::eq(list(vec![text("w")]), list(vec![text("w")])));
    }
}
