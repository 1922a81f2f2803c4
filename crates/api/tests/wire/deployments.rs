//! Deployments of our own API.

use crate::harness::Server;

#[tokio::test]
async fn deployment_is_created_shown_changed_and_deleted() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let body = format!("{{\"name\":\"reminders\",\"vxml_url\":\"{start}\"}}");
    let created = server.native("POST", "/v1/deployments", &body).await;
    assert_eq!((created.status, created.header("location")), (201, "/v1/deployments/1"));
    assert_eq!(server.pages.asked(), ["GET /start"]);
    let shown = server.native("GET", "/v1/deployments/1", "").await.json();
    assert_eq!(shown, created.json());
    assert_eq!(shown["application_id"], "1");
    assert_eq!(shown["queue_path"], "/api/apps/1/1/queue");
    assert_eq!(shown["campaign"], "apps/1/1");
    assert_eq!(shown["vxml_url"], start);

    let body = "{\"name\":\"thanks\",\"say\":\"Thank you.\"}";
    let changed = server.native("PUT", "/v1/deployments/1", body).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!((&changed["name"], &changed["say"]), (&"thanks".into(), &"Thank you.".into()));
    assert!(changed["vxml_url"].is_null());
    let list = server.native("GET", "/v1/deployments?limit=1", "").await.json();
    assert_eq!(list["data"][0], changed);

    assert_eq!(server.native("DELETE", "/v1/deployments/1", "").await.status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(server.native(method, "/v1/deployments/1", "").await.status, 404);
    }
    assert_eq!(server.native("PUT", "/v1/deployments/1", body).await.status, 404);
    let list = server.native("GET", "/v1/deployments", "").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 0);
    server.stop().await;
}

#[tokio::test]
async fn client_that_moves_keeps_its_numbers_and_nobody_else_gets_them() {
    let server = Server::start().await;
    let body = "{\"name\":\"a\",\"say\":\"a\",\"id\":4711,\"application_id\":12}";
    let created = server.native("POST", "/v1/deployments", body).await.json();
    assert_eq!(created["queue_path"], "/api/apps/12/4711/queue");
    let again = server.native("POST", "/v1/deployments", body).await;
    assert_eq!((again.status, again.json()["code"].clone()), (409, "name_taken".into()));
    let (_, stranger) = server.add_account("bob").await;
    let body = "{\"name\":\"a\",\"say\":\"a\",\"application_id\":12}";
    let theirs = server.native_as(&stranger, "POST", "/v1/deployments", body).await;
    assert_eq!(theirs.status, 409, "{theirs:?}");
    for method in ["GET", "DELETE"] {
        let theirs = server.native_as(&stranger, method, "/v1/deployments/4711", "").await;
        assert_eq!(theirs.status, 404);
    }
    server.stop().await;
}

#[tokio::test]
async fn deployment_whose_page_does_not_answer_is_refused() {
    let server = Server::start().await;
    let gone = server.pages.url("404");
    let body = format!("{{\"name\":\"a\",\"vxml_url\":\"{gone}\"}}");
    let created = server.native("POST", "/v1/deployments", &body).await;
    assert_eq!((created.status, created.json()["code"].clone()), (422, "url_unreachable".into()));
    let mistakes = server.native("POST", "/v1/deployments", "{\"id\":0}").await;
    assert_eq!(mistakes.status, 422);
    assert_eq!(mistakes.json()["errors"].as_array().unwrap().len(), 3, "{mistakes:?}");
    server.stop().await;
}
