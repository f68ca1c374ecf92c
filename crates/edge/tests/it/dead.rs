use http::StatusCode;

use crate::site::Site;

#[tokio::test]
async fn dead_letters_are_listed_and_redriven() {
    let site = Site::new();
    let redrive = async |path: &str| site.admin("POST", path).await;
    let listed = site.admin("GET", "/api/v1/dead").await.json();
    insta::assert_snapshot!(listed, @r#"
    {"items":[{"attempts":5,"died_at":"2023-11-14T22:13:20Z","error":"disk full","id":7,"key":"failed.jpg"}]}
    "#);
    redrive("/api/v1/dead/redrive?id=8")
        .await
        .problem(404, "not_found");
    redrive("/api/v1/dead/redrive?id=x")
        .await
        .problem(400, "bad_request");
    let answer = redrive("/api/v1/dead/redrive?id=7").await;
    assert_eq!(
        (answer.status, answer.json()["redriven"].as_u64()),
        (StatusCode::ACCEPTED, Some(1))
    );
    assert_eq!(
        site.admin("GET", "/api/v1/dead").await.json()["items"],
        serde_json::json!([])
    );
    let all = redrive("/api/v1/dead/redrive").await;
    assert_eq!(
        (all.status, all.json()["redriven"].as_u64()),
        (StatusCode::ACCEPTED, Some(0))
    );
}
