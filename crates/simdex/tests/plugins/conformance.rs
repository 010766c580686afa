//! The conformance suite: passes what is right, finds what is wrong.

use simdex::index::Parameters;
use simdex::index::plugin::conformance::{Check, Outcome, run};
use simdex::observe::Silent;

use crate::scene::Programs;

pub const TESTS: &[(&str, fn())] = &[
    ("right_plugins_pass", right_plugins_pass),
    ("what_is_not_claimed_is_not_checked", what_is_not_claimed_is_not_checked),
    ("wrong_plugins_fail", wrong_plugins_fail),
];

fn checks(name: &str, fault: &str) -> Vec<Check> {
    let programs = Programs::new(&[name]);
    let plugin = programs.plugins().get(name).unwrap();
    let options = Parameters::from([("fault".to_owned(), fault.to_owned())]);
    run(&plugin, &options, &Silent).unwrap()
}

fn right_plugins_pass() {
    let checks = checks("filter-update-persistent", "none");
    assert_eq!(checks.len(), 1 + 13 * 3);
    for check in checks {
        assert!(matches!(check.outcome, Outcome::Passed(_)), "{check:?}");
    }
}

fn what_is_not_claimed_is_not_checked() {
    let checks = checks("plain", "none");
    let not_claimed = checks.iter().filter(|check| check.outcome == Outcome::NotClaimed);
    assert_eq!(not_claimed.count(), 6 * 3);
    assert!(!checks.iter().any(|check| matches!(check.outcome, Outcome::Failed(_))));
}

fn wrong_plugins_fail() {
    for (fault, check, reason) in [
        ("search:unknown-rows", "recall (l2)", "row 4294967295, which is not there"),
        ("search:too-many", "recall (l2)", "11 rows where 10 were asked for"),
        ("search:few", "recall (l2)", "expected at least 0.995"),
        ("search:ignores-filter", "filters (l2)", "not there or not allowed"),
        ("open:refuse", "two processes on one folder (l2)", "I would rather not"),
        ("apply:die", "updates and deletes (l2)", "exit status: 7, and said: a last word"),
    ] {
        let checks = checks("filter-update-persistent", fault);
        let found = checks.iter().find(|found| found.name == check).unwrap();
        let Outcome::Failed(said) = &found.outcome else { panic!("{fault}: {found:?}") };
        assert!(said.contains(reason), "{fault}: {said}");
    }
}
