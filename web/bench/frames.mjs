// Counts frames of the Shop page for `make bench`. Started with the shop's
// address; reads lines "empty 2" and "busy 2" (seconds) and answers each with the
// number of frames, or with the reason why there is none.
import { createInterface } from 'node:readline';
import process from 'node:process';
import { chromium } from '@playwright/test';

const attempts = 200;
const atOnce = 50;
const url = process.argv[2];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});

async function open() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole('button', { name: /^Pay €/ }).waitFor();
  return page;
}

/** Fires captures of the page's own payment from outside, as the page's button does. */
const burst = (page, n) =>
  page.evaluate(async (n) => {
    const kept = JSON.parse(sessionStorage.getItem('payonce.checkout'));
    const order = await (await fetch(`/v1/orders/${kept.orderId}`)).json();
    await fetch('/v1/lab/bursts', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        payment_id: order.payment.id,
        attempts: n,
        keys: 'same',
        key: kept.captureKey,
        card_token: 'tok_ok',
      }),
    });
  }, n);

const frames = (page, seconds) =>
  page.evaluate(
    (seconds) =>
      new Promise((done) => {
        let n = 0;
        let began = null;
        const count = (now) => {
          began ??= now;
          if (now - began >= seconds * 1000) return done(n);
          n++;
          requestAnimationFrame(count);
        };
        requestAnimationFrame(count);
      }),
    seconds,
  );

const empty = await open();
const busy = await open();
await busy.getByRole('button', { name: /^Pay €/ }).click();
await busy.getByTestId('verdict').waitFor();
for (let n = 1; n < attempts; n += atOnce) await burst(busy, Math.min(atOnce, attempts - n));
await busy.waitForFunction(
  (n) => document.querySelectorAll('[data-testid="attempt"]').length >= n,
  attempts,
);
console.log('ready');

for await (const line of createInterface({ input: process.stdin })) {
  const [what, seconds] = line.split(' ');
  const page = what === 'busy' ? busy : empty;
  await page.bringToFront();
  // Tokens fly while frames are counted; the list has its rows already.
  const flying = what === 'busy' ? burst(busy, 10) : Promise.resolve();
  const counted = await frames(page, Number(seconds));
  await flying;
  console.log(String(counted));
}
await browser.close();
