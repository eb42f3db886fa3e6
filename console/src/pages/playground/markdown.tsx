/** Markdown as elements. No HTML of an answer becomes HTML of the page, and no picture of it is loaded. */
import type { MarkedToken, Token, Tokens } from "marked";
import { Component, type ComponentChildren, type JSX } from "preact";
import { useRef } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { Code } from "../../ui/copy.tsx";
import { type Blocks, blocksOf, NO_BLOCKS, safeHref, withCharacters } from "./blocks.ts";
import { PLAYGROUND } from "./texts.ts";

export default function Markdown({ text }: { text: string }): JSX.Element {
  const blocks = useRef<Blocks>(NO_BLOCKS);
  blocks.current = blocksOf(text, blocks.current);
  const { settled, open } = blocks.current;
  return (
    <div class="markdown">
      {[...settled, ...open].map((token, index) => (
        <Block key={index} token={token} />
      ))}
    </div>
  );
}

/** One block. It is not rendered anew as long as its token is the same. */
class Block extends Component<{ token: Token }> {
  override shouldComponentUpdate(next: { token: Token }): boolean {
    return next.token !== this.props.token;
  }
  override render(): ComponentChildren {
    return rendered(this.props.token);
  }
}

function all(tokens: readonly Token[] | undefined): ComponentChildren {
  return tokens?.map((token) => rendered(token));
}

/** Without extensions, the lexer makes none but its own tokens. */
function isOwn(token: Token): token is MarkedToken {
  return token.type in RENDERERS;
}

function rendered(token: Token): ComponentChildren {
  if (!isOwn(token)) return token.raw;
  const render = RENDERERS[token.type] as (token: MarkedToken) => ComponentChildren;
  return render(token);
}

type Renderers = {
  [Type in MarkedToken["type"]]: (token: Extract<MarkedToken, { type: Type }>) => ComponentChildren;
};

const RENDERERS: Renderers = {
  space: () => null,
  def: () => null,
  br: () => <br />,
  hr: () => <hr />,
  code: ({ text, lang }) => <CodeBlock text={text} lang={lang ?? ""} />,
  codespan: ({ text }) => <code>{text}</code>,
  blockquote: ({ tokens }) => <blockquote>{all(tokens)}</blockquote>,
  heading: (token) => <Heading token={token} />,
  paragraph: ({ tokens }) => <p>{all(tokens)}</p>,
  strong: ({ tokens }) => <strong>{all(tokens)}</strong>,
  em: ({ tokens }) => <em>{all(tokens)}</em>,
  del: ({ tokens }) => <del>{all(tokens)}</del>,
  html: ({ raw }) => raw,
  escape: ({ text }) => text,
  text: ({ text, tokens }) => (tokens === undefined ? withCharacters(text) : all(tokens)),
  link: ({ href, tokens }) => <Link href={href}>{all(tokens)}</Link>,
  image: ({ href, text }) => <Link href={href}>{text === "" ? href : text}</Link>,
  checkbox: ({ checked }) => (
    <input type="checkbox" checked={checked} disabled aria-label={checked ? "✓" : "–"} />
  ),
  list: (token) => <List token={token} />,
  list_item: ({ tokens }) => <li>{all(tokens)}</li>,
  table: (token) => <TableBlock token={token} />,
};

function CodeBlock({ text, lang }: { text: string; lang: string }): JSX.Element {
  const t = textsOf(PLAYGROUND);
  return <Code text={text} label={lang === "" ? t.copyCode : lang} />;
}

function Link({ href, children }: { href: string; children: ComponentChildren }): JSX.Element {
  const safe = safeHref(href);
  if (safe === null) return <span>{children}</span>;
  return (
    <a href={safe} target="_blank" rel="noreferrer">
      {children}
    </a>
  );
}

/** Below the headings of the page itself. */
function Heading({ token: { depth, tokens } }: { token: Tokens.Heading }): JSX.Element {
  if (depth <= 1) return <h3>{all(tokens)}</h3>;
  if (depth === 2) return <h4>{all(tokens)}</h4>;
  return depth === 3 ? <h5>{all(tokens)}</h5> : <h6>{all(tokens)}</h6>;
}

function List({ token: { ordered, start, items } }: { token: Tokens.List }): JSX.Element {
  if (!ordered) return <ul>{all(items)}</ul>;
  return <ol start={start === "" ? 1 : start}>{all(items)}</ol>;
}

function TableBlock({ token: { header, rows } }: { token: Tokens.Table }): JSX.Element {
  const cell = ({ tokens, align }: Tokens.TableCell, isHead: boolean): JSX.Element => {
    const style = align === null ? {} : { textAlign: align };
    return isHead ? <th style={style}>{all(tokens)}</th> : <td style={style}>{all(tokens)}</td>;
  };
  return (
    <div class="table-frame">
      <table class="table">
        <thead>
          <tr>{header.map((each) => cell(each, true))}</tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>{row.map((each) => cell(each, false))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
