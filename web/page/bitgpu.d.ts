/** Bytes or tokens of something that takes its time; total is 0 where it is not known. */
export interface Progress { what: "engine" | "model" | "reading" | "prompt" | "text"; loaded: number; total: number }

export interface LoadOptions {
  /** What computes: "auto" takes WebGPU where it is offered, else the CPU. */
  backend?: "auto" | "gpu" | "cpu";
  /** How many tokens a model with attention has room for; 0 for as many as fit. */
  context?: number;
  /** How float masters are rounded, where a directory does not say it. */
  masters?: "half-up" | "half-even";
  activations?: "float" | "int8";
  /** Whether a File is copied into the browser's own storage, true where not said. Addresses always are. */
  keep?: boolean;
  /** What the file is to be, in hexadecimal digits; it is read as a whole for that. */
  sha256?: string;
  onProgress?: (p: Progress) => void;
}

export interface Info {
  name: string; id: string; family?: string;
  layers: number; width: number; vocabulary: number;
  /** Tokens that there is room for; missing where there is no bound. */
  context?: number;
  backend: "gpu" | "cpu"; device: string;
  /** Why that device, where it may surprise. */
  note?: string;
  weightBytes: number; sessionBytes: number;
  /** Whether the model has a chat template, and whether that knows of thinking. */
  chat: boolean; thinks?: boolean;
}

export interface GenerateOptions {
  maxTokens?: number;
  /** 0 takes the most probable token each time; 0.8 where not said. */
  temperature?: number;
  topK?: number; topP?: number; minP?: number; repeatPenalty?: number;
  /** The same seed, the same text; another each time where not said. */
  seed?: number;
  stop?: string[];
  signal?: AbortSignal;
  onProgress?: (p: Progress) => void;
}

export interface ChatOptions extends GenerateOptions {
  /** What the model is told before the first turn. */
  system?: string;
  think?: boolean;
  /** Answers the last turn anew; the prompt is passed over. */
  again?: boolean;
}

export interface Result {
  reason: "length" | "end" | "context" | "stop" | "refused";
  seed: number; tokens: number; promptTokens: number; kept?: number;
  promptMs: number; textMs: number;
  /** Tokens that were read and written since the memory was empty. */
  position: number;
}

export interface Part { text?: string; thought?: string }

export interface Message { role: "user" | "assistant"; content: string; reasoning_content?: string }

export interface State { position: number; left?: number; messages?: Message[] }

/** The matrix of one head of one layer: size² brightnesses, 255 the largest of all. */
export interface Picture { layer: number; head: number; norm: number; size: number; pixels: Uint8Array }

/** A model with one memory, in a worker of its own. Calls are answered one after another. */
export class Model {
  readonly info: Info;
  generate(prompt: string, options?: GenerateOptions): AsyncGenerator<string, Result, void>;
  chat(prompt: string, options?: ChatOptions): AsyncGenerator<Part, Result, void>;
  learn(text: string, options?: { signal?: AbortSignal; onProgress?: (p: Progress) => void }): Promise<{ tokens: number; position: number }>;
  saveMemory(): Promise<Blob>;
  loadMemory(file: Blob | ArrayBuffer | Uint8Array): Promise<State>;
  reset(): Promise<void>;
  state(): Promise<State>;
  memory(): Promise<Picture[]>;
  close(): void;
}

/** Without a source it is the demo. */
export function load(source?: string | URL | Blob | File | File[] | { kept: string }, options?: LoadOptions): Promise<Model>;
/** The models that are kept in this browser. */
export function kept(): Promise<{ name: string; size: number }[]>;
export function forget(name: string): Promise<void>;
