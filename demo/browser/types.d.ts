/** Types of what the modules pass on, for `tsc` alone. */

/** Width and height in pixels; `data` holds planes, RGB in [0, 1]. */
export type Size = { width: number; height: number };
export type Picture = Size & { data: Float32Array<ArrayBuffer> };
export type Pictures = { content: Picture; style: Picture; start?: Picture };

/** The fields of toolkit/synthesis/recipe.py that the page computes with; the others travel along. */
export type Recipe = { [field: string]: any } & Record<"content_layers" | "style_layers", Record<string, number>> &
  Record<"content_weight" | "style_weight" | "style_scale" | "size" | "seed" | "iterations" | "levels" | "coarsest", number> &
  { early_stop: boolean; start: string };

/** A file to fetch, and its hash as in `<script integrity>`. */
export type Download = { name: string; address: string; bytes: number; integrity: string };

export type Network = Download & Record<"content_layers" | "style_layers", string[]> & {
  fingerprint: string; style_factor: number; channels: Record<string, number>; strides: Record<string, number>;
  style_targets: { name: string; own: string; shape: number[] }[];
};

/** Of the toolkit's classes and modules, by name. */
export type Constants = {
  LBFGS: Record<"FIRST_STEP" | "LARGEST_STEP" | "RISE" | "SMALLEST_STEP", number>;
  CurvaturePairs: { LEAST_PRODUCT: number };
  EarlyStop: Record<"ITERATIONS" | "GAIN", number>; Preconditioner: Record<"POWER" | "FINEST" | "COARSEST", number>;
  pyramid: { ITERATION_SHARES: Record<number, number[]> } & Record<"MIN_SHORT_SIDE" | "NOISE", number>;
  pairs: number;
};

/** site.json, as toolkit/export/site.py writes it, and the page's address. */
export type Site = Record<"page" | "isolation" | "usual", Record<string, string>> & {
  base: string; toolkit: string; version: string; server: string | null; recipe: Recipe; constants: Constants;
  networks: Network[]; strengths: Record<string, number>; examples: Record<string, string[]>;
  limits: Record<string, { choices?: string[]; whole?: boolean; least: number; most: number }>;
  runtime: { address: string; files: Record<string, Download[]> };
};
