//! The conformance suite: passes what is right, finds what is wrong.

use simdex::Metric;
use simdex::index::Parameters;
use simdex::index::plugin::conformance::{Check, Outcome, run};
use simdex::observe::Silent;

use crate::scene::Programs;

pub const TESTS: &[(&str, fn())] = &[
    ("right_plugins_pass", right_plugins_pass),
    ("what_is_not_claimed_is_not_checked", what_is_not_claimed_is_not_checked),
    ("one_metric_is_checked_alone", one_metric_is_checked_alone),
    ("wrong_plugins_fail", wrong_plugins_fail),
];

fn checks(name: &str, fault: &str) -> Vec<Check> {
    let programs = Programs::new(&[name]);
    let plugin = programs.plugins().get(name).unwrap();
    let options = Parameters::from([("fault".to_owned(), fault.to_owned())]);
    run(&plugin, &options, None, &Silent).unwrap()
}

fn right_plugins_pass() {
    let checks = checks("drop-filter-update-persistent", "none");
    assert_eq!(checks.len(), 1 + 14 * 3);
    for check in checks {
        assert!(matches!(check.outcome, Outcome::Passed(_)), "{check:?}");
    }
}

fn what_is_not_claimed_is_not_checked() {
    let checks = checks("plain", "none");
    let not_claimed = checks.iter().filter(|check| check.outcome == Outcome::NotClaimed);
    assert_eq!(not_claimed.count(), 7 * 3);
    assert!(!checks.iter().any(|check| matches!(check.outcome, Outcome::Failed(_))));
}

fn one_metric_is_checked_alone() {
    let programs = Programs::new(&["plain"]);
    let plugin = programs.plugins().get("plain").unwrap();
    let checks = run(&plugin, &Parameters::new(), Some(Metric::Dot), &Silent).unwrap();
    assert_eq!(checks.len(), 1 + 14);
    assert!(checks[1..].iter().all(|check| check.name.ends_with("(dot)")));
}

fn wrong_plugins_fail() {
    for (fault, check, reason) in [
        ("search:unknown-rows", "recall (l2)", "row 4294967295, which is not there"),
        ("search:too-many", "recall (l2)", "11 rows where 10 were asked for"),
        ("search:few", "recall (l2)", "expected at least 0.995"),
        ("search:ignores-filter", "filters (l2)", "not there or not allowed"),
        ("open:refuse", "two processes on one folder (l2)", "I would rather not"),
        ("drop:refuse", "dropped builds (l2)", "I would rather not"),
        ("drop:forget", "dropped builds (l2)", "it finds rows of a build that was dropped"),
        ("apply:die", "updates and deletes (l2)", "exit status: 7, and said: a last word"),
    ] {
        let checks = checks("drop-filter-update-persistent", fault);
        let found = checks.iter().find(|found| found.name == check).unwrap();
        let Outcome::Failed(said) = &found.outcome else { panic!("{fault}: {found:?}") };
        assert!(said.contains(reason), "{fault}: {said}");
    }
}
