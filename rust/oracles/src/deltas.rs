//! Streams put together of quirks: every byte of the input is a choice, so that each input is a stream of well-formed
//! chunks. Mutated bytes of a real stream hardly ever are.

use crate::{merge, stream};

/// Any choices: the stream that they make keeps what [`stream`] and [`merge`] say.
pub fn deltas(choices: &[u8]) {
    let composed = compose(choices);
    stream(&composed);
    merge(&composed);
}

struct Script<'a>(std::slice::Iter<'a, u8>);

impl Script<'_> {
    fn next(&mut self) -> usize {
        self.0.next().map_or(0, |&byte| usize::from(byte))
    }

    fn one_of(&mut self, from: &[&'static str]) -> &'static str {
        from[self.next() % from.len()]
    }

    fn is_over(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

/// The stream of these choices. An empty text among the options of a member means that it is absent. Quotes are single
/// ones until the end.
pub(crate) fn compose(choices: &[u8]) -> Vec<u8> {
    let mut script = Script(choices.iter());
    let mut output = String::new();
    while !script.is_over() {
        match script.next() % 16 {
            0 => {
                output +=
                    script.one_of(&[": c\n", "\r\n", "id: 1\n", "event: message\n", "data\n", "x: y\n"]);
            }
            1 => {
                output += script.one_of(&["data: [DONE]\n\n", "data:[DONE]", "data: {'type':'ping'}\n\n"]);
            }
            2 => output += &frame(&mut script, "'choices':[]", USAGES),
            3 => output += &frame(&mut script, "'choices':null", USAGES),
            4 => {
                output +=
                    script.one_of(&["event: error\ndata: x\n\n", "error: {}\n", "data: {'error':'x'}\n\n"]);
            }
            number => {
                let choices: Vec<String> = (0..=number % 2).map(|_| choice(&mut script)).collect();
                let choices = format!("'choices':[{}]", choices.join(","));
                output += &frame(&mut script, &choices, &["", "", USAGES[1], USAGES[2], USAGES[3]]);
            }
        }
    }
    output.replace('\'', "\"").into_bytes()
}

const USAGES: &[&str] = &["", "'usage':null", "'usage':{}", "'usage':{'prompt_tokens':1}"];

fn frame(script: &mut Script<'_>, choices: &str, usages: &[&'static str]) -> String {
    let members = [
        script.one_of(&["'id':'c'", "", "'id':null"]),
        script.one_of(&["'object':'chat.completion.chunk'", "", "'object':''"]),
        script.one_of(&["'created':1", "", "'model':'m','created':null"]),
        choices,
        script.one_of(usages),
        script.one_of(&["", "", "'error':null", "'x':[1]"]),
    ];
    let [before, between, behind] = script
        .one_of(&["data: |,|\n\n", "data:|,|\r\n\r\n", "data: | ,\ndata: |\n\n"])
        .split('|')
        .collect::<Vec<_>>()[..]
    else {
        unreachable!()
    };
    format!("{before}{{{}}}{behind}", join(&members, between))
}

fn choice(script: &mut Script<'_>) -> String {
    let delta = match script.next() % 8 {
        0 => String::new(),
        1 => "'delta':null".to_owned(),
        _ => format!("'delta':{{{}}}", delta(script)),
    };
    let members = [
        script.one_of(&["'index':0", "'index':0", "'index':1", "", "'index':null"]),
        &delta,
        script.one_of(&[
            "",
            "",
            "",
            "'logprobs':null",
            "'logprobs':{'content':[1]}",
            "'message':{'content':'a'}",
        ]),
        script.one_of(&["", "", "", "", "'usage':{'prompt_tokens':2}", "'error':null"]),
        script.one_of(&[
            "'finish_reason':null",
            "'finish_reason':null",
            "",
            "'finish_reason':'stop'",
            "'finish_reason':'tool_use'",
            "'finish_reason':''",
        ]),
    ];
    format!("{{{}}}", join(&members, ","))
}

const TEXTS: &[&str] = &[
    "null",
    "''",
    "'a'",
    "'é\\n'",
    "'<'",
    "'<think>'",
    "'</think>'",
    "'x<think>y'",
    "'z</thi'",
    "'nk>w'",
    "'\\u003cthink>'",
    "'\\ud83c'",
    "'\\udf0a'",
];

fn delta(script: &mut Script<'_>) -> String {
    let mut members = vec![script.one_of(&["", "'role':'assistant'", "'role':''", "'role':null"]).to_owned()];
    let content = match script.next() % 8 {
        0 => None,
        1 => Some(format!(
            "[{{'type':'text','text':{}}},{{'type':'thinking','thinking':[{{'text':'t'}}]}}]",
            script.one_of(TEXTS)
        )),
        2 => Some("[]".to_owned()),
        _ => Some(script.one_of(TEXTS).to_owned()),
    };
    members.extend(content.map(|content| format!("'content':{content}")));
    let others = script.next();
    for (bit, name) in ["reasoning_content", "reasoning", "refusal"].into_iter().enumerate() {
        if others & (0x11 << bit) == 0x11 << bit {
            members.push(format!("'{name}':{}", script.one_of(TEXTS)));
        }
    }
    if others & 0x88 == 0x88 {
        members.push("'reasoning_details':[{'text':'d'},{'data':'e'}]".to_owned());
    }
    members.push(
        script
            .one_of(&[
                "",
                "",
                "",
                "",
                "'reasoning_text':'t'",
                "'thinking':['u']",
                "'thinking_blocks':[{'type':'thinking','thinking':'v'}]",
                "'y':{'thinking':'w','z':[3]}",
                "'audio':{'data':'YQ==','transcript':'s'}",
            ])
            .to_owned(),
    );
    match script.next() % 6 {
        0 => members
            .push(script.one_of(&["'tool_calls':null", "'tool_calls':[]", "'x':{}", "'x':[2]"]).to_owned()),
        number @ 1..=2 => {
            let calls: Vec<String> = (0..number).map(|_| call(script)).collect();
            members.push(format!("'tool_calls':[{}]", calls.join(",")));
        }
        _ => {}
    }
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    join(&members, ",")
}

fn call(script: &mut Script<'_>) -> String {
    let function = if script.next().is_multiple_of(8) {
        script
            .one_of(&[
                "",
                "'function':null",
                "'custom':{'name':'c'}",
                "'custom':{'input':'1'}",
                "'function':{'name':''},'custom':{'name':'c','input':'2'}",
            ])
            .to_owned()
    } else {
        let members = [
            script.one_of(&["", "'name':'f'", "'name':'g'", "'name':''", "'name':null"]),
            script.one_of(&[
                "",
                "'arguments':'{'",
                "'arguments':'}'",
                "'arguments':null",
                "'arguments':{'x': '\\''}",
            ]),
        ];
        format!("'function':{{{}}}", join(&members, ","))
    };
    let members = [
        script.one_of(&["'index':0", "", "'index':1", "'index':3"]),
        script.one_of(&["", "'id':'a'", "'id':'b'", "'id':''", "'id':null"]),
        script.one_of(&["", "'type':'function'", "'type':null", "'type':'custom'", "'x':1,'type':'mcp'"]),
        &function,
    ];
    format!("{{{}}}", join(&members, ","))
}

/// The members that are there.
fn join(members: &[&str], separator: &str) -> String {
    members.iter().filter(|member| !member.is_empty()).copied().collect::<Vec<_>>().join(separator)
}
