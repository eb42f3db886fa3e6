//! Limits and efforts under the names that the upstream knows.

use super::*;
use crate::request::refused::Refused;

fn refusing(one: Refused, dialect: Dialect) -> Route {
    Route { refuses: [one].into_iter().collect(), ..plain(dialect) }
}

/// A body with these members before `messages`.
fn body(members: &str) -> String {
    format!(r#"{{"model":"m",{members}"messages":[{{}}]}}"#)
}

#[test]
fn the_limit_gets_the_name_that_the_upstream_reads() {
    for (name, members, expected) in [
        ("alone", r#""max_completion_tokens":5,"#, r#""max_tokens":5,"#),
        ("white space and escapes", r#""max\u005fcompletion_tokens" : 5e0 ,"#, r#""max_tokens" : 5e0 ,"#),
        ("absent", "", ""),
        ("null", r#""max_completion_tokens":null,"#, r#""max_completion_tokens":null,"#),
        (
            "both given: the upstream reads its own",
            r#""max_completion_tokens":5,"max_tokens":7,"#,
            r#""max_completion_tokens":5,"max_tokens":7,"#,
        ),
        ("null before it", r#""max_tokens":null, "max_completion_tokens":5,"#, r#" "max_tokens":5,"#),
        ("null behind it", r#""max_completion_tokens":5 , "max_tokens":null,"#, r#""max_tokens":5,"#),
        ("somebody else's", r#""x":{"max_completion_tokens":5},"#, r#""x":{"max_completion_tokens":5},"#),
    ] {
        for dialect in Dialect::ALL {
            let route = refusing(Refused::MaxCompletionTokens, dialect);
            assert_eq!(upstream_body(&body(members), &route), body(expected), "{name}");
            assert_eq!(upstream_body(&body(members), &plain(dialect)), body(members), "{name}, known there");
        }
    }
}

#[test]
fn a_limit_that_is_dropped_has_no_name() {
    for (dropped, members, expected) in [
        ("max_completion_tokens", r#""max_completion_tokens":5,"#, ""),
        ("max_completion_tokens", r#""max_completion_tokens":5,"max_tokens":7,"#, r#""max_tokens":7,"#),
        ("max_tokens", r#""max_completion_tokens":5,"#, r#""max_completion_tokens":5,"#),
        ("max_tokens", r#""max_tokens":null,"max_completion_tokens":5,"#, r#""max_completion_tokens":5,"#),
        ("reasoning_effort", r#""reasoning_effort":"minimal","#, ""),
    ] {
        let refuses = Refused::ALL.into_iter().collect();
        let route = Route { refuses, drop: vec![dropped.to_owned()], ..plain(Dialect::ThinkingObject) };
        assert_eq!(upstream_body(&body(members), &route), body(expected), "without {dropped}");
    }
}

#[test]
fn the_lowest_effort_is_low() {
    for (members, expected) in [
        (r#""reasoning_effort" : "minimal","#, r#""reasoning_effort" : "low","#),
        (r#""reasoning_effort":"min\u0069mal","#, r#""reasoning_effort":"low","#),
        (r#""reasoning_effort":"low","#, r#""reasoning_effort":"low","#),
        (r#""reasoning_effort":"xhigh","#, r#""reasoning_effort":"xhigh","#),
        (r#""reasoning":{"effort":"minimal"},"#, r#""reasoning":{"effort":"minimal"},"#),
    ] {
        let route = refusing(Refused::MinimalEffort, Dialect::ThinkingObject);
        assert_eq!(upstream_body(&body(members), &route), body(expected));
        for knowing in [refusing(Refused::MinimalEffort, Dialect::Native), plain(Dialect::ThinkingObject)] {
            assert_eq!(upstream_body(&body(members), &knowing), body(members));
        }
    }
}
