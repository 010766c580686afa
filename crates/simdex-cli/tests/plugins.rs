//! `plugin …`, and indexes that use one. This program is also the plugin, when it is started by its
//! name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;
/// What `plugin new --lang rust` writes.
#[path = "../templates/rust/main.rs"]
mod template;
#[path = "../../simdex/tests/plugins/testing.rs"]
mod testing;

use std::process::ExitCode;

use common::Sandbox;
use insta::assert_snapshot;
use libtest_mimic::{Arguments, Trial};
use simdex::index::plugin::PREFIX;

const TESTS: &[(&str, fn())] = &[
    ("what_is_installed", what_is_installed),
    ("settings_name_programs", settings_name_programs),
    ("the_suite_passes_and_fails", the_suite_passes_and_fails),
    ("an_index_uses_a_plugin", an_index_uses_a_plugin),
    ("a_new_plugin_is_written", a_new_plugin_is_written),
    ("a_new_plugin_passes", a_new_plugin_passes),
];

fn main() -> ExitCode {
    let program = std::env::args_os().next().unwrap();
    let program = std::path::Path::new(&program);
    let file = program.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if let Some(name) = file.strip_prefix(PREFIX) {
        match name {
            "my-index" => template::main().unwrap(),
            name => testing::main(name),
        }
        return ExitCode::SUCCESS;
    }
    let trial = |(name, test): &(&'static str, fn())| {
        let test = *test;
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    };
    let trials = TESTS.iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn sandbox(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("bin")).unwrap();
    for name in names {
        let program = sandbox.path("bin").join(format!("{PREFIX}{name}"));
        let own = std::env::current_exe().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(own, program).unwrap();
        #[cfg(not(unix))]
        std::fs::copy(own, program.with_extension("exe")).map(drop).unwrap();
    }
    sandbox
}

fn what_is_installed() {
    let sandbox = sandbox(&["example", "describe-die"]);
    assert_snapshot!("list", sandbox.stdout(&["plugin", "list"]));
    assert_snapshot!("list_json", sandbox.stdout(&["plugin", "list", "--json"]));
    assert_snapshot!("show", sandbox.stdout(&["plugin", "show", "example"]));
    assert_snapshot!("show_dead", sandbox.refusal(&["plugin", "show", "describe-die"]));
    assert_snapshot!("show_missing", sandbox.refusal(&["plugin", "show", "faiss"]));
    let (status, stdout, stderr) = Sandbox::new().run(&["plugin", "list"]);
    assert_eq!((status, stdout.as_str()), (0, ""));
    assert_snapshot!("list_nothing", stderr);
}

fn settings_name_programs() {
    let sandbox = sandbox(&["example", "plain"]);
    std::fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
    let file = format!("{PREFIX}plain{}", std::env::consts::EXE_SUFFIX);
    let moved = sandbox.path("elsewhere").join(&file);
    std::fs::rename(sandbox.path("bin").join(&file), &moved).unwrap();
    std::fs::write(sandbox.path("text"), "").unwrap();
    std::fs::create_dir_all(sandbox.path("settings")).unwrap();
    let settings = sandbox.path("settings/plugins.json");
    let name = |programs: serde_json::Value| {
        std::fs::write(&settings, serde_json::json!({ "plugins": programs }).to_string()).unwrap();
    };
    // One that is nowhere else, and one in place of another.
    name(serde_json::json!({ "plain": moved, "example": moved }));
    assert_snapshot!("settings_list", sandbox.stdout(&["plugin", "list"]));
    // One that is gone, and one that is no program.
    name(serde_json::json!({
        "plain": moved, "gone": sandbox.path("gone"), "text": sandbox.path("text"),
    }));
    assert!(sandbox.stdout(&["plugin", "list"]).contains("plugin `gone` is not there"));
    assert!(sandbox.stdout(&["plugin", "test", "plain"]).contains("0 failed"));
    assert_snapshot!("settings_gone", sandbox.refusal(&["plugin", "show", "gone"]));
    #[cfg(unix)]
    assert_snapshot!("settings_text", sandbox.refusal(&["plugin", "show", "text"]));
    name(serde_json::json!({ "plain": "bin/simdex-index-plain" }));
    assert_snapshot!("settings_relative", sandbox.refusal(&["plugin", "list"]));
    name(serde_json::json!({ "../plain": moved }));
    assert_snapshot!("settings_name", sandbox.refusal(&["plugin", "show", "example"]));
    std::fs::write(&settings, "{").unwrap();
    assert_snapshot!("settings_broken", sandbox.refusal(&["plugin", "list"]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        name(serde_json::json!({ "plain": moved }));
        std::fs::set_permissions(&settings, std::fs::Permissions::from_mode(0o646)).unwrap();
        assert_snapshot!("settings_anybodys", sandbox.refusal(&["plugin", "show", "plain"]));
    }
    // A relative folder of settings names nothing: where a command runs decides nothing.
    let mut command = sandbox.simdex(&["plugin", "list", "--json"]);
    let output = command.env("SIMDEX_CONFIG_DIR", "settings").output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("plain"));
}

fn the_suite_passes_and_fails() {
    let sandbox = sandbox(&["plain"]);
    assert_snapshot!("test_passes", sandbox.stdout(&["plugin", "test", "plain"]));
    let faulty = ["plugin", "test", "plain", "--set", "fault=search:too-many"];
    let (status, stdout, _) = sandbox.run(&faulty);
    assert_eq!(status, 1);
    assert!(stdout.contains("FAILED  recall (l2): 11 rows where 10 were asked for"), "{stdout}");
    let (_, json, _) = sandbox.run(&["plugin", "test", "plain", "--json"]);
    let checks: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(checks[0]["name"], "describe");
    assert_eq!(
        (&checks[0]["outcome"], &checks[0]["detail"]),
        (&"passed".into(), &"plain 1.2.3".into())
    );
    assert!(checks.iter().any(|check| check["outcome"] == "not_claimed"));
    let unknown = ["plugin", "test", "plain", "--set", "height=1"];
    assert_snapshot!("test_unknown_option", sandbox.refusal(&unknown));
}

fn an_index_uses_a_plugin() {
    let sandbox = sandbox(&["persistent"]);
    let direct = sandbox.stdout(&["similar", "posts", "--vector", "[1,0,0]", "--exact"]);
    let create = ["index", "create", "x", "-c", "posts", "--kind", "persistent"];
    assert_snapshot!("create_bad", sandbox.refusal(&[&create[..], &["--set", "width=0"]].concat()));
    let (status, stdout, stderr) = sandbox.run(&create);
    assert_eq!(status, 0, "{stderr}");
    assert!(stdout.starts_with("created index x over posts: persistent, cosine"), "{stdout}");
    assert_eq!(sandbox.run(&["similar", "posts", "--vector", "[1,0,0]"]).1, direct);
    let shown = sandbox.stdout(&["index", "show", "x"]);
    assert!(shown.contains("persistent 1.2.3"), "{shown}");
    // Without the plugin: the same answer, and a word about it.
    std::fs::remove_file(sandbox.path("bin/simdex-index-persistent")).unwrap();
    let (status, stdout, stderr) =
        sandbox.run(&["similar", "posts", "--vector", "[1,0,0]", "-n", "1"]);
    assert_eq!((status, stdout.lines().next()), (0, direct.lines().next()), "{stderr}");
}

fn a_new_plugin_is_written() {
    let sandbox = sandbox(&[]);
    for (lang, file) in [("python", "simdex_index_ivf_2.py"), ("rust", "src/main.rs")] {
        let new = ["plugin", "new", "--lang", lang, "ivf-2", "--directory", lang];
        assert!(sandbox.stdout(&new).starts_with(&format!("wrote {lang}")));
        let text = std::fs::read_to_string(sandbox.path(lang).join(file)).unwrap();
        assert!(text.contains("ivf-2") && !text.contains("my-index"), "{text}");
        assert!(sandbox.refusal(&new).contains("there is something at"));
    }
    let new = ["plugin", "new", "--lang", "rust", "No Name"];
    assert!(sandbox.refusal(&new).contains("`No Name` can't be the name of a plugin"));
    assert!(!sandbox.path("simdex-index-No Name").exists());
}

fn a_new_plugin_passes() {
    let sandbox = sandbox(&["my-index"]);
    let (status, stdout, stderr) = sandbox.run(&["plugin", "test", "my-index"]);
    assert_eq!(status, 0, "{stdout}{stderr}");
}
