package main

import (
	"path/filepath"

	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/nn/storage/peft"
	"bitgpu/nn/train"
)

// isAdapter reports whether path is a low-rank adapter, or an unfinished training of one.
func isAdapter(path string) bool {
	if exists(filepath.Join(path, peft.ConfigName)) {
		return !exists(filepath.Join(path, modeldir.ConfigName))
	}
	if _, err := regular.Check(path); err != nil {
		return false
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, lone := f.Metadata()[peft.ConfigName]
	_, training := f.Metadata()[train.AdaptationKey]
	return lone || training || filepath.Base(path) == peft.ModelName
}

// inspectAdapter shows an adapter without its model.
func inspectAdapter(path string) (*inspection, error) {
	r := &inspection{Path: path}
	about, f, err := peft.Describe(path)
	if err == nil {
		r.Form, r.Adapter = "low-rank adapter", &about
	} else {
		training, failed := safetensors.Open(path)
		if failed != nil {
			return nil, err
		}
		if _, ok := training.Metadata()[train.AdaptationKey]; !ok {
			training.Close()
			return nil, err
		}
		f, r.Form = training, "training of an adapter, with which bitgpu learn --resume goes on"
	}
	defer f.Close()
	r.Bytes, r.Metadata, r.Tensors = f.Size(), f.Metadata(), listTensors(f, nil)
	delete(r.Metadata, peft.ConfigName)
	return r, nil
}
