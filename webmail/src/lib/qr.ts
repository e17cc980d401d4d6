/**
 * QR codes (ISO/IEC 18004): bytes, error correction M, versions 1 to 15, enough for 400 octets.
 * Returns rows of modules, true for dark.
 */

const BLOCKS: [perBlock: number, blocks: number][] = [
  // Error correction words per block and number of blocks, level M, by version from 1.
  [10, 1], [16, 1], [26, 1], [18, 2], [24, 2], [16, 4], [18, 4], [22, 4], [22, 5], [26, 5], [30, 5], [22, 8], [22, 9],
  [24, 9], [24, 10],
];

function rawModules(version: number): number {
  let result = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const aligned = Math.floor(version / 7) + 2;
    result -= (25 * aligned - 10) * aligned - 55;
    if (version >= 7) result -= 36;
  }
  return result;
}

function multiply(x: number, y: number): number {
  let z = 0;
  for (let i = 7; i >= 0; i -= 1) {
    z = (z << 1) ^ ((z >>> 7) * 0x11d);
    z ^= ((y >>> i) & 1) * x;
  }
  return z;
}

function divisor(degree: number): number[] {
  const result: number[] = Array(degree - 1).fill(0).concat([1]);
  let root = 1;
  for (let i = 0; i < degree; i += 1) {
    for (let j = 0; j < degree; j += 1) {
      result[j] = multiply(result[j]!, root);
      if (j + 1 < degree) result[j]! ^= result[j + 1]!;
    }
    root = multiply(root, 2);
  }
  return result;
}

function remainder(data: number[], by: number[]): number[] {
  const result = by.map(() => 0);
  for (const octet of data) {
    const factor = octet ^ result.shift()!;
    result.push(0);
    by.forEach((value, i) => (result[i]! ^= multiply(value, factor)));
  }
  return result;
}

export function qr(text: string): boolean[][] {
  const data = [...new TextEncoder().encode(text)];
  let version = 1;
  let capacity = 0;
  for (; ; version += 1) {
    const block = BLOCKS[version - 1];
    if (!block) throw new RangeError("too long for a QR code");
    capacity = Math.floor(rawModules(version) / 8) - block[0] * block[1];
    if (data.length + (version < 10 ? 2 : 3) <= capacity) break;
  }
  const bits: number[] = [];
  const append = (value: number, length: number) => {
    for (let i = length - 1; i >= 0; i -= 1) bits.push((value >>> i) & 1);
  };
  append(4, 4);
  append(data.length, version < 10 ? 8 : 16);
  data.forEach((octet) => append(octet, 8));
  append(0, Math.min(4, capacity * 8 - bits.length));
  append(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < capacity * 8; pad ^= 0xec ^ 0x11) append(pad, 8);
  const words: number[] = Array(bits.length / 8).fill(0);
  bits.forEach((bit, i) => (words[i >>> 3]! |= bit << (7 - (i & 7))));
  return draw(version, interleave(version, words));
}

function interleave(version: number, words: number[]): number[] {
  const [correction, count] = BLOCKS[version - 1]!;
  const raw = Math.floor(rawModules(version) / 8);
  const short = count - (raw % count);
  const length = Math.floor(raw / count);
  const by = divisor(correction);
  const blocks: number[][] = [];
  for (let i = 0, k = 0; i < count; i += 1) {
    const part = words.slice(k, k + length - correction + (i < short ? 0 : 1));
    k += part.length;
    const check = remainder(part, by);
    if (i < short) part.push(0);
    blocks.push(part.concat(check));
  }
  const result: number[] = [];
  for (let i = 0; i < blocks[0]!.length; i += 1) {
    blocks.forEach((block, j) => {
      if (i !== length - correction || j >= short) result.push(block[i]!);
    });
  }
  return result;
}

function draw(version: number, words: number[]): boolean[][] {
  const size = version * 4 + 17;
  const modules = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const fixed = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const set = (x: number, y: number, dark: boolean) => {
    modules[y]![x] = dark;
    fixed[y]![x] = true;
  };
  for (let i = 0; i < size; i += 1) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) {
    for (let dy = -4; dy <= 4; dy += 1) {
      for (let dx = -4; dx <= 4; dx += 1) {
        const distance = Math.max(Math.abs(dx), Math.abs(dy));
        const x = cx + dx;
        const y = cy + dy;
        if (x >= 0 && x < size && y >= 0 && y < size) set(x, y, distance !== 2 && distance !== 4);
      }
    }
  }
  const places = alignment(version, size);
  places.forEach((x, i) => places.forEach((y, j) => {
    const last = places.length - 1;
    if ((i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0)) return;
    for (let dy = -2; dy <= 2; dy += 1) {
      for (let dx = -2; dx <= 2; dx += 1) set(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }
  }));
  if (version >= 7) {
    let rem = version;
    for (let i = 0; i < 12; i += 1) rem = (rem << 1) ^ ((rem >>> 11) * 0x1f25);
    const bits = (version << 12) | rem;
    for (let i = 0; i < 18; i += 1) {
      const dark = ((bits >>> i) & 1) !== 0;
      const a = size - 11 + (i % 3);
      const b = Math.floor(i / 3);
      set(a, b, dark);
      set(b, a, dark);
    }
  }
  format(set, size, 0);
  place(modules, fixed, size, words);
  // The mask with the least penalty would scan a little faster; any is right. This one has no long runs.
  const mask = best(modules, fixed, size);
  apply(modules, fixed, size, mask);
  format(set, size, mask);
  return modules;
}

function alignment(version: number, size: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  const result = [6];
  for (let at = size - 7; result.length < count; at -= step) result.splice(1, 0, at);
  return result;
}

function format(set: (x: number, y: number, dark: boolean) => void, size: number, mask: number): void {
  const data = mask; // level M is 0
  let rem = data;
  for (let i = 0; i < 10; i += 1) rem = (rem << 1) ^ ((rem >>> 9) * 0x537);
  const bits = ((data << 10) | rem) ^ 0x5412;
  const bit = (i: number) => ((bits >>> i) & 1) !== 0;
  for (let i = 0; i <= 5; i += 1) set(8, i, bit(i));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let i = 9; i < 15; i += 1) set(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i += 1) set(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i += 1) set(8, size - 15 + i, bit(i));
  set(8, size - 8, true);
}

function place(modules: boolean[][], fixed: boolean[][], size: number, words: number[]): void {
  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let vertical = 0; vertical < size; vertical += 1) {
      for (let j = 0; j < 2; j += 1) {
        const x = right - j;
        const upward = ((right + 1) & 2) === 0;
        const y = upward ? size - 1 - vertical : vertical;
        if (!fixed[y]![x] && i < words.length * 8) {
          modules[y]![x] = ((words[i >>> 3]! >>> (7 - (i & 7))) & 1) !== 0;
          i += 1;
        }
      }
    }
  }
}

const MASKS: ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

function apply(modules: boolean[][], fixed: boolean[][], size: number, mask: number): void {
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) if (!fixed[y]![x] && MASKS[mask]!(x, y)) modules[y]![x] = !modules[y]![x];
  }
}

function best(modules: boolean[][], fixed: boolean[][], size: number): number {
  let least = Infinity;
  let chosen = 0;
  for (let mask = 0; mask < 8; mask += 1) {
    apply(modules, fixed, size, mask);
    let penalty = 0;
    for (let a = 0; a < size; a += 1) {
      let run = 0;
      let column = 0;
      for (let b = 1; b < size; b += 1) {
        run = modules[a]![b] === modules[a]![b - 1] ? run + 1 : 0;
        column = modules[b]![a] === modules[b - 1]![a] ? column + 1 : 0;
        if (run >= 4) penalty += run === 4 ? 3 : 1;
        if (column >= 4) penalty += column === 4 ? 3 : 1;
        if (a && run && modules[a - 1]![b] === modules[a]![b] && modules[a - 1]![b - 1] === modules[a]![b]) penalty += 3;
      }
    }
    apply(modules, fixed, size, mask);
    if (penalty < least) {
      least = penalty;
      chosen = mask;
    }
  }
  return chosen;
}
