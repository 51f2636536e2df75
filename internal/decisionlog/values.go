package decisionlog

import (
	"slices"

	"go.uber.org/zap/zapcore"
)

type loggedTexts []string

func (texts *loggedTexts) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for _, text := range *texts {
		array.AppendString(text)
	}
	return nil
}

type loggedTextMap map[string]string

func (texts loggedTextMap) MarshalLogObject(object zapcore.ObjectEncoder) error {
	var room names
	for _, name := range sortedNames(room[:0], texts) {
		object.AddString(name, texts[name])
	}
	return nil
}

// addAny writes an object of any shape.
func addAny(object zapcore.ObjectEncoder, name string, members map[string]any) error {
	return object.AddObject(name, loggedMembers(members))
}

// loggedMembers and loggedElements write any JSON value without reflection.
type loggedMembers map[string]any

func (members loggedMembers) MarshalLogObject(object zapcore.ObjectEncoder) error {
	var room names
	for _, name := range sortedNames(room[:0], members) {
		if err := addValue(object, name, members[name]); err != nil {
			return err
		}
	}
	return nil
}

func addValue(object zapcore.ObjectEncoder, name string, value any) error {
	switch value := value.(type) {
	case string:
		object.AddString(name, value)
	case bool:
		object.AddBool(name, value)
	case map[string]any:
		return object.AddObject(name, loggedMembers(value))
	case []any:
		return object.AddArray(name, (*loggedElements)(&value))
	default:
		return object.AddReflected(name, value)
	}
	return nil
}

type loggedElements []any

func (elements *loggedElements) MarshalLogArray(array zapcore.ArrayEncoder) error {
	for _, value := range *elements {
		if err := appendValue(array, value); err != nil {
			return err
		}
	}
	return nil
}

func appendValue(array zapcore.ArrayEncoder, value any) error {
	switch value := value.(type) {
	case string:
		array.AppendString(value)
	case bool:
		array.AppendBool(value)
	case map[string]any:
		return array.AppendObject(loggedMembers(value))
	case []any:
		return array.AppendArray((*loggedElements)(&value))
	default:
		return array.AppendReflected(value)
	}
	return nil
}

// names is room for the names of a usual object, on the stack.
type names [8]string

// sortedNames appends the names of an object's members to names, which is empty, and sorts them. Sorting maps.Keys with
// slices.Sorted allocates.
func sortedNames[T any](names []string, members map[string]T) []string {
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
