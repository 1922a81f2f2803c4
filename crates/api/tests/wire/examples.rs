//! The examples for curl do what they say.

use std::process::Output;

use crate::harness::{PIN, Server};

/// Runs an example against the server; `None` on a machine without curl.
async fn run(name: &str, server: &Server) -> Option<Output> {
    let script = format!("{}/../../examples/curl/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = std::process::Command::new("sh");
    command
        .arg(script)
        .env("OUTDIAL", format!("http://{}", server.address))
        .env("LOGIN", "ann")
        .env("PIN", PIN)
        .env("KEY", &server.key)
        .env("START", server.pages.url("start"))
        .env("RESULT", server.pages.url("result"))
        .env("no_proxy", "127.0.0.1");
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: no curl");
        return None;
    }
    Some(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

#[tokio::test]
async fn example_for_plum_queues_a_call_and_a_list() {
    let server = Server::start().await;
    if let Some(output) = run("plum.sh", &server).await {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(text.contains("<queuecall status=\"queued\""), "{text}");
        assert!(text.contains("queued=\"2\" rejected=\"0\""), "{text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn example_for_fuse_queues_a_call_and_a_list_and_cancels_them() {
    let server = Server::start().await;
    if let Some(output) = run("fuse.sh", &server).await {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(text.contains("{\"call_id\":\""), "{text}");
        assert!(text.contains("{\"call_details\":{\"max_attempts\":\"3\""), "{text}");
        assert!(text.contains("<queued>2</queued>\n<rejected>0</rejected>"), "{text}");
        assert!(text.ends_with("202\n"), "{text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn example_for_our_own_api_makes_a_call_and_cancels_it() {
    let server = Server::start().await;
    if let Some(output) = run("native.sh", &server).await {
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        let answers: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let states: Vec<&str> =
            answers.iter().filter_map(|answer| answer["state"].as_str()).collect();
        assert_eq!(states, ["waiting", "stopped", "canceled", "running", "stopped", "stopped"]);
    }
    server.stop().await;
}
