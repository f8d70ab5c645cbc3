// gifenc ships no types; these are the three functions that film.ts uses.
declare module 'gifenc' {
  type Colour = number[];
  interface Frame {
    palette?: Colour[];
    delay?: number;
    transparent?: boolean;
    transparentIndex?: number;
    dispose?: number;
  }
  interface Encoder {
    writeFrame(pixels: Uint8Array, width: number, height: number, frame?: Frame): void;
    finish(): void;
    bytes(): Uint8Array;
  }
  const gifenc: {
    GIFEncoder(): Encoder;
    quantize(rgba: Uint8Array, colours: number, options?: { format: 'rgb565' }): Colour[];
    applyPalette(rgba: Uint8Array, palette: Colour[], format?: 'rgb565'): Uint8Array;
  };
  export default gifenc;
}
