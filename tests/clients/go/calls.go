package main

import "github.com/openai/openai-go/v3"

func toolOf(described openai.FunctionDefinitionParam) openai.ChatCompletionToolUnionParam {
	return openai.ChatCompletionFunctionTool(described)
}

func callOf(made call) openai.ChatCompletionMessageToolCallUnionParam {
	return openai.ChatCompletionMessageToolCallUnionParam{
		OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
			ID: made.ID,
			Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{
				Name: made.Name, Arguments: made.Arguments,
			},
		},
	}
}
