// OpenAI's SDK for Go: requests come as JSON lines on stdin, what it saw goes out the same way.
//
// LLMGW_BASE_URL says where the gateway is. The lines are those of tests/clients/scenarios.py.
//
// The folders go_1, go_2 and go_3_42 beside this one build the same program with older versions of the SDK.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/respjson"
)

type task struct {
	Name          string         `json:"name"`
	Model         string         `json:"model"`
	Stream        bool           `json:"stream"`
	Prompt        string         `json:"prompt"`
	Seed          int64          `json:"seed"`
	Extra         map[string]any `json:"extra"`
	APIKey        string         `json:"api_key"`
	Image         string         `json:"image"`
	Tools         []tool         `json:"tools"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	ToolResult string `json:"tool_result"`
}

type tool struct {
	Function struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  map[string]any `json:"parameters"`
	} `json:"function"`
}

type call struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type usage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
}

type failure struct {
	Status  *int   `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type seen struct {
	Name           string   `json:"name"`
	Text           string   `json:"text"`
	Reasoning      string   `json:"reasoning"`
	ToolCalls      []call   `json:"tool_calls"`
	FinishReason   *string  `json:"finish_reason"`
	Usage          *usage   `json:"usage"`
	Error          *failure `json:"error"`
	TextAfterTools string   `json:"text_after_tools"`
}

func messagesOf(t task) []openai.ChatCompletionMessageParamUnion {
	if t.Image == "" {
		return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(t.Prompt)}
	}
	parts := []openai.ChatCompletionContentPartUnionParam{
		openai.TextContentPart(t.Prompt),
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: t.Image}),
	}
	return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(parts)}
}

// The SDK has no field for reasoning, but keeps the members that it does not know.
func reasoningOf(extra map[string]respjson.Field) string {
	field, there := extra["reasoning_content"]
	if !there {
		return ""
	}
	var text *string
	if err := json.Unmarshal([]byte(field.Raw()), &text); err != nil || text == nil {
		return ""
	}
	return *text
}

func usageOf(u openai.CompletionUsage) *usage {
	return &usage{u.PromptTokens, u.CompletionTokens, u.TotalTokens}
}

func plain(client openai.Client, params openai.ChatCompletionNewParams, s *seen) error {
	completion, err := client.Chat.Completions.New(context.Background(), params)
	if err != nil {
		return err
	}
	if len(completion.Choices) != 1 {
		return fmt.Errorf("%d choices", len(completion.Choices))
	}
	choice := completion.Choices[0]
	s.Text = choice.Message.Content
	s.Reasoning = reasoningOf(choice.Message.JSON.ExtraFields)
	s.FinishReason = &choice.FinishReason
	if completion.JSON.Usage.Valid() {
		s.Usage = usageOf(completion.Usage)
	}
	for _, made := range choice.Message.ToolCalls {
		s.ToolCalls = append(s.ToolCalls, call{made.ID, made.Function.Name, made.Function.Arguments})
	}
	return nil
}

func streamed(client openai.Client, params openai.ChatCompletionNewParams, s *seen) error {
	stream := client.Chat.Completions.NewStreaming(context.Background(), params)
	defer stream.Close()
	for stream.Next() {
		chunk := stream.Current()
		if chunk.JSON.Usage.Valid() {
			s.Usage = usageOf(chunk.Usage)
		}
		for _, choice := range chunk.Choices {
			s.Text += choice.Delta.Content
			s.Reasoning += reasoningOf(choice.Delta.JSON.ExtraFields)
			if choice.FinishReason != "" {
				s.FinishReason = &choice.FinishReason
			}
			for _, piece := range choice.Delta.ToolCalls {
				for int64(len(s.ToolCalls)) <= piece.Index {
					s.ToolCalls = append(s.ToolCalls, call{})
				}
				made := &s.ToolCalls[piece.Index]
				made.ID += piece.ID
				made.Name += piece.Function.Name
				made.Arguments += piece.Function.Arguments
			}
		}
	}
	return stream.Err()
}

// The calls and their results, as the messages that follow the question.
func afterCalls(s seen, result string) []openai.ChatCompletionMessageParamUnion {
	said := openai.ChatCompletionAssistantMessageParam{}
	var results []openai.ChatCompletionMessageParamUnion
	for _, made := range s.ToolCalls {
		said.ToolCalls = append(said.ToolCalls, callOf(made))
		results = append(results, openai.ToolMessage(result, made.ID))
	}
	first := openai.ChatCompletionMessageParamUnion{OfAssistant: &said}
	return append([]openai.ChatCompletionMessageParamUnion{first}, results...)
}

func failureOf(err error) *failure {
	var refused *openai.Error
	if errors.As(err, &refused) {
		return &failure{&refused.StatusCode, refused.Code, refused.Message}
	}
	if frame, broken := strings.CutPrefix(err.Error(), "received error while streaming: "); broken {
		var body struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal([]byte(frame), &body); err != nil {
			return &failure{nil, "", err.Error()}
		}
		return &failure{nil, body.Code, body.Message}
	}
	return &failure{nil, "", fmt.Sprintf("%T: %v", err, err)}
}

func run(t task) seen {
	options := []option.RequestOption{
		option.WithBaseURL(os.Getenv("LLMGW_BASE_URL")), option.WithAPIKey(t.APIKey), option.WithMaxRetries(0),
	}
	for name, value := range t.Extra {
		options = append(options, option.WithJSONSet(name, value))
	}
	client := openai.NewClient(options...)
	params := openai.ChatCompletionNewParams{
		Model: t.Model, Messages: messagesOf(t), Seed: openai.Int(t.Seed),
	}
	for _, described := range t.Tools {
		params.Tools = append(params.Tools, toolOf(openai.FunctionDefinitionParam{
			Name:        described.Function.Name,
			Description: openai.String(described.Function.Description),
			Parameters:  described.Function.Parameters,
		}))
	}
	if t.StreamOptions != nil {
		params.StreamOptions.IncludeUsage = openai.Bool(t.StreamOptions.IncludeUsage)
	}
	ask := plain
	if t.Stream {
		ask = streamed
	}
	s := seen{Name: t.Name, ToolCalls: []call{}}
	err := ask(client, params, &s)
	if err == nil && t.ToolResult != "" {
		after := seen{}
		params.Messages = append(params.Messages, afterCalls(s, t.ToolResult)...)
		err = ask(client, params, &after)
		s.TextAfterTools = after.Text
	}
	if err != nil {
		s.Error = failureOf(err)
	}
	return s
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var t task
		if err := json.Unmarshal(lines.Bytes(), &t); err != nil {
			panic(err)
		}
		if err := out.Encode(run(t)); err != nil {
			panic(err)
		}
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}
