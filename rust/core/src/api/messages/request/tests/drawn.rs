//! Bodies drawn from a seed, in which every text is another one, and is known to be said or to be left out.

use llmgw_oracles::Lcg;

/// JSON whose members may be written in any order.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Raw(String),
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

impl Json {
    /// As text; with an `order`, members are shuffled by it.
    pub(super) fn text(&self, order: &mut Option<Lcg>) -> String {
        match self {
            Self::Raw(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.text(order)).collect();
                format!("[{}]", items.join(","))
            }
            Self::Object(members) => {
                let mut members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{}", value.text(order))).collect();
                if let Some(order) = order {
                    for last in (1..members.len()).rev() {
                        members.swap(last, order.below(last + 1));
                    }
                }
                format!("{{{}}}", members.join(", "))
            }
        }
    }
}

fn raw(text: &str) -> Json {
    Json::Raw(text.to_owned())
}

/// A body in the making.
pub(super) struct Drawn {
    lcg: Lcg,
    /// The texts, and what each is left out as, unless it has to be said.
    pub(super) texts: Vec<(String, Option<&'static str>)>,
    pub(super) system: Option<Json>,
    /// Each with whether a conversation may end with it.
    pub(super) messages: Vec<(Json, bool)>,
    pub(super) others: Vec<(&'static str, Json)>,
    ids: usize,
}

impl Drawn {
    /// A conversation of whole turns.
    pub(super) fn conversation(seed: u64) -> Self {
        let mut drawn = Self {
            lcg: Lcg::new(seed),
            texts: Vec::new(),
            system: None,
            messages: Vec::new(),
            others: Vec::new(),
            ids: 0,
        };
        if drawn.coin() {
            drawn.system = Some(drawn.system_prompt());
        }
        for _ in 0..=drawn.lcg.below(4) {
            drawn.turn();
        }
        drawn.others();
        drawn
    }

    /// The first of its messages in a body.
    pub(super) fn body(&self, messages: usize, order: Option<u64>) -> String {
        let messages = self.messages[..messages].iter().map(|(message, _)| message.clone()).collect();
        let mut members = vec![("model", raw("\"m\"")), ("messages", Json::List(messages))];
        members.extend(self.system.clone().map(|system| ("system", system)));
        members.extend(self.others.iter().cloned());
        Json::Object(members).text(&mut order.map(Lcg::new))
    }

    fn coin(&mut self) -> bool {
        self.lcg.below(2) == 1
    }

    /// A text like no other, with escapes in it.
    fn said(&mut self) -> Json {
        self.text(None)
    }

    fn left_out(&mut self, kind: &'static str) -> Json {
        self.text(Some(kind))
    }

    fn text(&mut self, left_out: Option<&'static str>) -> Json {
        let number = self.texts.len();
        let text = format!(r#"t{number}.\u4f60\n\"{}"#, ["", "error", "你"][self.lcg.below(3)]);
        self.texts.push((text.clone(), left_out));
        Json::Raw(format!("\"{text}\""))
    }

    fn id(&mut self) -> Json {
        self.ids += 1;
        Json::Raw(format!("\"id{}\"", self.ids))
    }

    fn system_prompt(&mut self) -> Json {
        if self.coin() {
            return self.said();
        }
        let billing = Json::Object(vec![
            ("type", raw("\"text\"")),
            ("text", raw("\"x-anthropic-billing-header: cch=1;\"")),
        ]);
        let blocks = (0..self.lcg.below(3)).map(|_| self.text_block()).collect::<Vec<_>>();
        Json::List([vec![billing], blocks].concat())
    }

    fn marked(&mut self, mut members: Vec<(&'static str, Json)>) -> Json {
        if self.coin() {
            members.push(("cache_control", raw(r#"{"type":"ephemeral"}"#)));
        }
        Json::Object(members)
    }

    fn text_block(&mut self) -> Json {
        let text = self.said();
        let mut members = vec![("type", raw("\"text\"")), ("text", text)];
        if self.lcg.below(8) == 0 {
            let cited = self.left_out("content.citations");
            members.push(("citations", Json::List(vec![cited])));
        }
        self.marked(members)
    }

    fn image(&mut self) -> Json {
        let source = if self.coin() {
            let data = self.said();
            vec![("type", raw("\"base64\"")), ("media_type", raw("\"image/png\"")), ("data", data)]
        } else {
            let url = self.said();
            vec![("type", raw("\"url\"")), ("url", url)]
        };
        self.marked(vec![("type", raw("\"image\"")), ("source", Json::Object(source))])
    }

    fn document(&mut self) -> Json {
        let (title, data) = (self.said(), self.said());
        let media_type = raw("\"application/pdf\"");
        let source = match self.lcg.below(3) {
            0 => vec![("type", raw("\"text\"")), ("media_type", raw("\"text/plain\"")), ("data", data)],
            1 => vec![("type", raw("\"base64\"")), ("media_type", media_type), ("data", data)],
            _ => vec![("type", raw("\"content\"")), ("content", data)],
        };
        self.marked(vec![("type", raw("\"document\"")), ("title", title), ("source", Json::Object(source))])
    }

    fn search_result(&mut self) -> Json {
        let (title, source, found) = (self.said(), self.said(), self.text_block());
        let content = Json::List(vec![found]);
        let members = vec![
            ("type", raw("\"search_result\"")),
            ("title", title),
            ("source", source),
            ("content", content),
        ];
        Json::Object(members)
    }

    fn unknown(&mut self) -> Json {
        let (kind, left_out) = [
            ("\"container_upload\"", "content.container_upload"),
            ("\"web_search_tool_result\"", "content.web_search_tool_result"),
            ("\"new kind\"", "content.new_kind"),
        ][self.lcg.below(3)];
        let text = self.left_out(left_out);
        Json::Object(vec![("type", raw(kind)), ("content", text)])
    }

    fn block(&mut self) -> Json {
        match self.lcg.below(8) {
            0 => self.image(),
            1 => self.document(),
            2 => self.search_result(),
            3 => self.unknown(),
            _ => self.text_block(),
        }
    }

    fn blocks(&mut self, most: usize) -> Vec<Json> {
        (0..self.lcg.below(most + 1)).map(|_| self.block()).collect()
    }

    fn message(&mut self, role: &str, content: Json, may_end: bool) {
        let role = Json::Raw(format!("\"{role}\""));
        self.messages.push((Json::Object(vec![("role", role), ("content", content)]), may_end));
    }

    /// A user's message, the answer to it, and the results of its calls.
    fn turn(&mut self) {
        let content = if self.coin() { self.said() } else { Json::List(self.blocks(3)) };
        self.message("user", content, true);
        if self.lcg.below(4) == 0 {
            let reminder = self.said();
            self.message("system", reminder, true);
        }
        let mut answer = Vec::new();
        if self.coin() {
            let thinking = self.said();
            let members =
                vec![("type", raw("\"thinking\"")), ("thinking", thinking), ("signature", raw("\"EqQB\""))];
            answer.push(Json::Object(members));
        }
        answer.extend((0..self.lcg.below(3)).map(|_| self.text_block()).collect::<Vec<_>>());
        let mut results = Vec::new();
        for _ in 0..self.lcg.below(4) {
            let (id, name, argument) = (self.id(), self.said(), self.raw_argument());
            let input = Json::Object(vec![("a", argument)]);
            let members =
                vec![("type", raw("\"tool_use\"")), ("id", id.clone()), ("name", name), ("input", input)];
            answer.push(Json::Object(members));
            results.push(self.result(id));
        }
        let has_calls = !results.is_empty();
        self.message("assistant", Json::List(answer), !has_calls);
        if has_calls {
            for last in (1..results.len()).rev() {
                results.swap(last, self.lcg.below(last + 1));
            }
            results.extend(self.blocks(2));
            self.message("user", Json::List(results), true);
        }
    }

    /// Escaped once more where it arrives, so a plain one.
    fn raw_argument(&mut self) -> Json {
        let text = format!("t{}.", self.texts.len());
        self.texts.push((text.clone(), None));
        Json::Raw(format!("\"{text}\""))
    }

    fn result(&mut self, id: Json) -> Json {
        let mut members = vec![("type", raw("\"tool_result\"")), ("tool_use_id", id)];
        match self.lcg.below(4) {
            0 => {}
            1 => {
                let content = self.said();
                members.push(("content", content));
            }
            _ => {
                let content = Json::List(self.blocks(3));
                members.push(("content", content));
            }
        }
        if self.coin() {
            members.push(("is_error", raw("true")));
        }
        self.marked(members)
    }

    fn others(&mut self) {
        if self.coin() {
            let (name, description, schema) = (self.said(), self.said(), self.said());
            let schema = Json::Object(vec![("type", raw("\"object\"")), ("description", schema)]);
            let mut function = vec![("name", name), ("description", description), ("input_schema", schema)];
            if self.coin() {
                let example = self.left_out("tools.input_examples");
                function.push(("input_examples", Json::List(vec![example])));
            }
            let searched = self.left_out("tools.web_search_20250305");
            let search = Json::Object(vec![("type", raw("\"web_search_20250305\"")), ("name", searched)]);
            let function = self.marked(function);
            self.others.push(("tools", Json::List(vec![search, function])));
            let chosen = self.said();
            let choice = vec![("type", raw("\"tool\"")), ("name", chosen)];
            self.others.push(("tool_choice", Json::Object(choice)));
        }
        for (name, left_out) in [
            ("container", Some("container")),
            ("anthropic_version", Some("anthropic_version")),
            ("service_tier", Some("service_tier")),
            ("x_own", None),
        ] {
            if self.coin() {
                let value = self.text(left_out);
                self.others.push((name, value));
            }
        }
        if self.coin() {
            let (stop, user, other) = (self.said(), self.said(), self.left_out("metadata.k"));
            self.others.push(("stop_sequences", Json::List(vec![stop])));
            self.others.push(("metadata", Json::Object(vec![("user_id", user), ("k", other)])));
        }
        if self.coin() {
            let effort = self.said();
            let schema = self.said();
            let format = vec![("type", raw("\"json_schema\"")), ("schema", schema)];
            let config = vec![("effort", effort), ("format", Json::Object(format))];
            self.others.push(("output_config", Json::Object(config)));
            self.others.push(("thinking", raw(r#"{"type":"enabled","budget_tokens":1024}"#)));
        }
    }
}
