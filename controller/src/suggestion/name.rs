//! Names of trials.

/// Letters and digits that make no words and can't be mistaken for one another.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many random letters a name ends with.
const LENGTH: usize = 8;

/// The name `<experiment>-<8 letters>` that the random bits give.
pub(super) fn trial_name(experiment: &str, mut random: u64) -> String {
    let mut name = String::with_capacity(experiment.len() + 1 + LENGTH);
    name.push_str(experiment);
    name.push('-');
    for _ in 0..LENGTH {
        name.push(char::from(
            ALPHABET[(random % ALPHABET.len() as u64) as usize],
        ));
        random /= ALPHABET.len() as u64;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::trial_name;

    #[test]
    fn names_are_the_experiment_and_eight_letters() {
        assert_eq!(trial_name("tune", 0), "tune-bbbbbbbb");
        assert_eq!(trial_name("tune", 26), "tune-9bbbbbbb");
        assert_eq!(trial_name("tune", u64::MAX).len(), "tune-".len() + 8);
    }
}
