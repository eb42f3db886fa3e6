package main

import "github.com/openai/openai-go"

func toolOf(described openai.FunctionDefinitionParam) openai.ChatCompletionToolParam {
	return openai.ChatCompletionToolParam{Function: described}
}

func callOf(made call) openai.ChatCompletionMessageToolCallParam {
	return openai.ChatCompletionMessageToolCallParam{
		ID:       made.ID,
		Function: openai.ChatCompletionMessageToolCallFunctionParam{Name: made.Name, Arguments: made.Arguments},
	}
}
